"""Custom functions of each kind, for one library."""


def functions(torch, note):
    """Classes by name; ``note`` sees what their backward is given."""
    Function = torch.autograd.Function

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return 2 * x * grad

    class Identity(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 3

    class Doubled(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    class Flat(Function):
        @staticmethod
        def forward(x):
            return x.view(-1)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.shape = inputs[0].shape

        @staticmethod
        def backward(ctx, grad):
            return grad.reshape(ctx.shape)

    class Pair(Function):
        @staticmethod
        def forward(ctx, x):
            y, sign = x * 2, x.sign()
            ctx.mark_non_differentiable(sign)
            ctx.save_for_backward(y)
            return y, sign

        @staticmethod
        def backward(ctx, grad, none):
            (y,) = ctx.saved_tensors
            return grad * y

    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            return x.sin()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, grad):
            return grad * 0.5

    class Product(Function):
        """Of two, in the newer style; a gradient only where one is needed."""

        @staticmethod
        def forward(x, y):
            return x * y

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            note(list(ctx.needs_input_grad))
            needs_x, needs_y = ctx.needs_input_grad
            return grad * y if needs_x else None, grad * x if needs_y else None

    class Unmade(Function):
        """Two outputs whose gradients may be None."""

        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 2, x + 1

        @staticmethod
        def backward(ctx, g1, g2):
            note([g is None for g in (g1, g2)])
            if g1 is None or g2 is None:
                return g2 if g1 is None else g1
            return g1 * 2 + g2

    class Made(Function):
        """Two outputs whose gradients are zeros where there are none."""

        @staticmethod
        def forward(ctx, x):
            return x * 2, x.sum()

        @staticmethod
        def backward(ctx, g1, g2):
            return note(g1, g2, g1 * 2 + g2)

    class Scaled(Function):
        """An argument that is not a tensor, and an output that is none."""

        @staticmethod
        def forward(ctx, x, scale):
            ctx.scale = scale
            return x * scale, scale

        @staticmethod
        def backward(ctx, grad, none):
            return grad * ctx.scale, None

    class Nothing(Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return None

    class TooFew(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, grad):
            return grad

    class Stacked(Function):
        """The output is saved."""

        @staticmethod
        def forward(ctx, x):
            y = x.tanh()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, grad):
            (y,) = ctx.saved_tensors
            return grad * (1 - y * y)

    class Swapped(Function):
        """Both inputs come back, the second written to."""

        @staticmethod
        def forward(ctx, x, y):
            ctx.mark_dirty(y)
            y.add_(1)
            return y, x

        @staticmethod
        def backward(ctx, gy, gx):
            return gx, gy * 2

    class Viewed(Function):
        """A view of the input."""

        @staticmethod
        def forward(ctx, x):
            return x[...]

        @staticmethod
        def backward(ctx, grad):
            return grad * 5

    class Parts(Function):
        """Several views of the input."""

        @staticmethod
        def forward(ctx, x):
            return x.view(-1), x.view_as(x)

        @staticmethod
        def backward(ctx, g1, g2):
            return g1.reshape(g2.shape) + g2

    class Wrong(Function):
        """A gradient of other sizes."""

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad.new_ones(7)

    class Loud(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            raise ValueError("loud")

    class Inner(Function):
        """Backward inside backward."""

        @staticmethod
        def forward(ctx, x):
            with torch.enable_grad():
                ctx.x = x.detach().requires_grad_()
                ctx.y = (ctx.x * ctx.x).sum()
            return ctx.y.detach()

        @staticmethod
        def backward(ctx, grad):
            (g,) = torch.autograd.grad(ctx.y, ctx.x, retain_graph=True)
            return g * grad

    local = dict(locals())
    return {
        name: f
        for name, f in local.items()
        if isinstance(f, type) and issubclass(f, Function) and f is not Function
    }
