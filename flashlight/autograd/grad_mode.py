"""Context managers (and decorators) that switch recording on and off."""

import functools
import inspect
import warnings

from flashlight import _C


class _Decorator:
    """A context manager that can decorate functions, generators and classes."""

    def clone(self):
        return type(self)()

    def __call__(self, func):
        if inspect.isclass(func):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future "
                "versions. You should only decorate functions or methods. To preserve "
                "the current behavior of class decoration, you can directly decorate "
                "the `__init__` method and nothing else.",
                FutureWarning,
                stacklevel=2,
            )
            func.__init__ = self(func.__init__)
            return func
        if inspect.isgeneratorfunction(func):
            return self._wrap_generator(func)

        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            with self.clone():
                return func(*args, **kwargs)

        return wrapper

    def _wrap_generator(self, func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            gen = func(*args, **kwargs)
            try:
                with self.clone():
                    response = gen.send(None)
                while True:
                    try:
                        request = yield response
                    except GeneratorExit:
                        with self.clone():
                            gen.close()
                        raise
                    except BaseException as error:
                        with self.clone():
                            response = gen.throw(error)
                    else:
                        with self.clone():
                            response = gen.send(request)
            except StopIteration as stop:
                return stop.value

        return wrapper


class _OptionalCall(_Decorator):
    """May be used as ``@no_grad`` and as ``@no_grad()``."""

    def __new__(cls, func=None):
        self = super().__new__(cls)
        return self if func is None else self(func)


class no_grad(_OptionalCall):
    """Nothing is recorded within."""

    def __enter__(self):
        self._before = _C.is_grad_enabled()
        _C._set_grad_enabled(False)

    def __exit__(self, *exc):
        _C._set_grad_enabled(self._before)


class enable_grad(_OptionalCall):
    """Recording is on within, whatever surrounds it."""

    def __enter__(self):
        self._before = _C.is_grad_enabled()
        _C._set_grad_enabled(True)

    def __exit__(self, *exc):
        _C._set_grad_enabled(self._before)


class set_grad_enabled(_Decorator):
    """Switch recording; as a function, or for a block."""

    def __init__(self, mode):
        self._before = _C.is_grad_enabled()
        self.mode = mode
        _C._set_grad_enabled(mode)

    def __call__(self, func):
        _C._set_grad_enabled(self._before)
        return super().__call__(func)

    def __enter__(self):
        _C._set_grad_enabled(self.mode)

    def __exit__(self, *exc):
        _C._set_grad_enabled(self._before)

    def clone(self):
        return type(self)(self.mode)


class inference_mode(_Decorator):
    """No recording, and tensors made within never take part in it."""

    def __new__(cls, mode=True):
        self = super().__new__(cls)
        if isinstance(mode, bool):
            return self
        self.__init__()
        return self(mode)

    def __init__(self, mode=True):
        self.mode = mode if isinstance(mode, bool) else True

    def __enter__(self):
        self._before = _C.is_grad_enabled(), _C.is_inference_mode_enabled()
        _C._set_inference_mode(self.mode)
        _C._set_grad_enabled(not self.mode)

    def __exit__(self, *exc):
        _C._set_grad_enabled(self._before[0])
        _C._set_inference_mode(self._before[1])

    def clone(self):
        return type(self)(self.mode)


def is_view_replay_enabled():
    """Whether views are made again by their ops where their history is asked for."""
    return _C._is_view_replay_enabled()


def is_multithreading_enabled():
    """Whether ``set_multithreading_enabled`` was left on; backward needs no threads."""
    return _C._is_multithreading_enabled()


class _Switch(_Decorator):
    """Sets a switch of the calling thread: at once, and for a block as its context."""

    def __init__(self, mode):
        self._before = self._get()
        self.mode = mode
        self._set(mode)

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        self._set(self._before)

    def clone(self):
        return type(self)(self.mode)


class set_multithreading_enabled(_Switch):
    """Accepted: backward runs on the calling thread in any case."""

    _get = staticmethod(_C._is_multithreading_enabled)
    _set = staticmethod(_C._set_multithreading_enabled)


class _force_original_view_tracking(_Switch):
    """Views remember the ops that made them, not only how they lie on their base."""

    _get = staticmethod(_C._is_view_replay_enabled)
    _set = staticmethod(_C._set_view_replay_enabled)


class set_detect_anomaly:
    """Name the forward line of a backward that fails or gives NaN."""

    def __init__(self, mode, check_nan=True):
        self._before = _C.is_anomaly_enabled(), _C.is_anomaly_check_nan_enabled()
        _C.set_anomaly_enabled(mode, check_nan)

    def __enter__(self):
        pass

    def __exit__(self, *exc):
        _C.set_anomaly_enabled(*self._before)


class detect_anomaly:
    """``set_detect_anomaly(True)`` for a block."""

    def __init__(self, check_nan=True):
        self._before = _C.is_anomaly_enabled(), _C.is_anomaly_check_nan_enabled()
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime "
            "and should only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self):
        self._before = _C.is_anomaly_enabled(), _C.is_anomaly_check_nan_enabled()
        _C.set_anomaly_enabled(True, self.check_nan)

    def __exit__(self, *exc):
        _C.set_anomaly_enabled(*self._before)
