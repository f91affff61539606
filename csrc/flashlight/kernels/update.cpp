#include "flashlight/kernels/update.h"

#include <cstring>
#include <optional>

#include <mlx/allocator.h>
#include <mlx/backend/cpu/encoder.h>
#include <mlx/ops.h>
#include <mlx/primitives.h>

namespace flashlight {

namespace {

// Where the update leaves its results for the nodes that take them. The task
// that runs it holds this, so a result that nothing takes lives until then.
struct Left {
  std::vector<std::optional<mx::array>> arrays;
};

bool is_dense_rows(const mx::array& a) {
  return a.flags().row_contiguous && a.data_size() == a.size();
}

// Copies a strided array to rows of `to`.
template <size_t Size>
void gather(const mx::array& from, char* to) {
  const mx::Shape& shape = from.shape();
  auto n = static_cast<int>(shape.size());
  std::vector<int64_t> index(shape.size(), 0);
  const char* source = from.data<char>();
  int64_t last = n > 0 ? shape[static_cast<size_t>(n - 1)] : 1;
  int64_t step = n > 0 ? from.strides()[static_cast<size_t>(n - 1)] : 0;
  auto rows = static_cast<int64_t>(from.size()) / std::max<int64_t>(last, 1);
  constexpr auto bytes = static_cast<int64_t>(Size);
  for (int64_t r = 0; r < rows; ++r) {
    int64_t start = 0;
    for (int d = 0; d < n - 1; ++d) {
      auto axis = static_cast<size_t>(d);
      start += index[axis] * from.strides()[axis];
    }
    for (int64_t i = 0; i < last; ++i, to += Size) {
      std::memcpy(to, source + (start + i * step) * bytes, Size);
    }
    for (int d = n - 2; d >= 0; --d) {
      auto axis = static_cast<size_t>(d);
      if (++index[axis] < shape[axis]) {
        break;
      }
      index[axis] = 0;
    }
  }
}

void copy_to_rows(const mx::array& from, mx::array& to) {
  if (is_dense_rows(from)) {
    std::memcpy(to.data<char>(), from.data<char>(), from.nbytes());
    return;
  }
  switch (from.itemsize()) {
    case 1:
      return gather<1>(from, to.data<char>());
    case 2:
      return gather<2>(from, to.data<char>());
    case 4:
      return gather<4>(from, to.data<char>());
    default:
      return gather<8>(from, to.data<char>());
  }
}

mx::array new_rows(const mx::array& like) {
  mx::array rows(like.shape(), like.dtype(), nullptr, {});
  rows.set_data(mx::allocator::malloc(like.nbytes()));
  return rows;
}

// The buffer of an input that nothing else holds. The input gives it away: MLX
// keeps what inputs hold until the task has run, and until then the next update
// could not take it.
mx::array take_buffer(mx::array in) {
  mx::array taken(in.shape(), in.dtype(), nullptr, {});
  taken.copy_shared_buffer(in);
  in.set_data(mx::allocator::malloc(0));
  return taken;
}

class Update : public mx::UnaryPrimitive {
 public:
  Update(
      mx::Stream stream,
      std::string name,
      size_t targets,
      UpdateFn fn,
      std::shared_ptr<Left> left)
      : mx::UnaryPrimitive(stream),
        name_(std::move(name)),
        targets_(targets),
        fn_(std::move(fn)),
        left_(std::move(left)) {}

  // Buffers are chosen here and filled by the task, in the stream's order.
  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& token)
      override {
    auto& encoder = mx::cpu::get_command_encoder(stream());
    token.set_data(mx::allocator::malloc(token.nbytes()));
    std::vector<mx::array> targets, reads;
    std::vector<std::pair<mx::array, mx::array>> copies;
    auto copy = [&](const mx::array& from, const mx::array& to) {
      copies.emplace_back(
          mx::array::unsafe_weak_copy(from), mx::array::unsafe_weak_copy(to));
    };
    for (size_t i = 0; i < inputs.size(); ++i) {
      const mx::array& in = inputs[i];
      if (i < targets_) {
        if (in.is_donatable() && is_dense_rows(in)) {
          left_->arrays[i] = take_buffer(in);
        } else {
          left_->arrays[i] = new_rows(in);
          copy(in, *left_->arrays[i]);
        }
        targets.push_back(mx::array::unsafe_weak_copy(*left_->arrays[i]));
      } else if (is_dense_rows(in)) {
        reads.push_back(mx::array::unsafe_weak_copy(in));
      } else {
        mx::array rows = new_rows(in);
        copy(in, rows);
        reads.push_back(mx::array::unsafe_weak_copy(rows));
        encoder.add_temporary(std::move(rows));
      }
    }
    encoder.dispatch([fn = fn_,
                      left = left_,
                      copies = std::move(copies),
                      targets = std::move(targets),
                      reads = std::move(reads)]() mutable {
      for (auto& [from, to] : copies) {
        copy_to_rows(from, to);
      }
      fn(targets, reads);
    });
  }

  void eval_gpu(const std::vector<mx::array>&, mx::array&) override {
    throw std::runtime_error(name_ + " runs on the CPU stream");
  }

  const char* name() const override {
    return name_.c_str();
  }

 private:
  std::string name_;
  size_t targets_;
  UpdateFn fn_;
  std::shared_ptr<Left> left_;
};

class Updated : public mx::UnaryPrimitive {
 public:
  Updated(mx::Stream stream, std::shared_ptr<Left> left, size_t index)
      : mx::UnaryPrimitive(stream), left_(std::move(left)), index_(index) {}

  // Takes the buffer and leaves nothing, so that the next update may reuse it.
  void eval_cpu(const std::vector<mx::array>&, mx::array& out) override {
    out.copy_shared_buffer(*left_->arrays[index_]);
    left_->arrays[index_].reset();
  }

  void eval_gpu(const std::vector<mx::array>&, mx::array&) override {
    throw std::runtime_error("Updated runs on the CPU stream");
  }

  const char* name() const override {
    return "Updated";
  }

 private:
  std::shared_ptr<Left> left_;
  size_t index_;
};

} // namespace

std::vector<mx::array> host_update(
    std::string name,
    const std::vector<mx::array>& targets,
    const std::vector<mx::array>& reads,
    UpdateFn fn) {
  mx::Stream stream = mx::default_stream(mx::Device::cpu);
  auto left = std::make_shared<Left>();
  left->arrays.resize(targets.size());
  std::vector<mx::array> inputs = targets;
  inputs.insert(inputs.end(), reads.begin(), reads.end());
  mx::array token(
      mx::Shape{0},
      mx::uint8,
      std::make_shared<Update>(
          stream, std::move(name), targets.size(), std::move(fn), left),
      std::move(inputs));
  std::vector<mx::array> updated;
  for (size_t i = 0; i < targets.size(); ++i) {
    updated.emplace_back(
        targets[i].shape(),
        targets[i].dtype(),
        std::make_shared<Updated>(stream, left, i),
        std::vector<mx::array>{token});
  }
  return updated;
}

} // namespace flashlight
