// Train a small convolutional network on handwritten digits, as
// examples/digits.py does, without Python in the process.
//
//   digits digits.csv [steps]
//
// digits_csv.py writes the file: 1,797 digits of 8 x 8 pixels, of which a fifth
// is held out.
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "flashlight/flashlight.h"

using namespace flashlight;

namespace {

// --- layers ------------------------------------------------------------------

Tensor parameter(const Tensor& t) {
  set_requires_grad(t, true);
  return t;
}

// Weights as torch.nn initializes them: uniform, by what goes into an output.
Tensor weights(const IntList& sizes, int64_t fan_in) {
  double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  return parameter(uniform_(empty(sizes), -bound, bound));
}

struct Linear {
  Tensor weight, bias;

  Linear(int64_t in, int64_t out)
      : weight(weights({out, in}, in)), bias(weights({out}, in)) {}

  Tensor operator()(const Tensor& x) const {
    return linear(x, weight, bias);
  }
};

struct Conv {
  Tensor weight, bias;

  Conv(int64_t in, int64_t out)
      : weight(weights({out, in, 3, 3}, in * 9)),
        bias(weights({out}, in * 9)) {}

  Tensor operator()(const Tensor& x) const {
    return conv2d(x, weight, bias, {1, 1}, IntList{1, 1});
  }
};

struct BatchNorm {
  Tensor weight, bias, running_mean, running_var;

  explicit BatchNorm(int64_t n)
      : weight(parameter(ones({n}))),
        bias(parameter(zeros({n}))),
        running_mean(zeros({n})),
        running_var(ones({n})) {}

  Tensor operator()(const Tensor& x, bool training) const {
    return batch_norm(
        x,
        weight,
        bias,
        running_mean,
        running_var,
        training,
        /*momentum=*/0.1,
        /*eps=*/1e-5,
        /*cudnn_enabled=*/false);
  }
};

struct Net {
  Conv conv1{1, 32}, conv2{32, 64};
  BatchNorm norm1{32}, norm2{64};
  Linear hidden{64 * 4 * 4, 128}, output{128, 10};
  bool training = true;

  Tensor operator()(Tensor x) const {
    x = relu(norm1(conv1(x), training));
    x = relu(norm2(conv2(x), training));
    x = dropout(flatten(max_pool2d(x, {2, 2}), 1), 0.3, training);
    return output(relu(hidden(x)));
  }

  TensorList parameters() const {
    return {
        conv1.weight,
        conv1.bias,
        conv2.weight,
        conv2.bias,
        norm1.weight,
        norm1.bias,
        norm2.weight,
        norm2.bias,
        hidden.weight,
        hidden.bias,
        output.weight,
        output.bias};
  }
};

// --- data --------------------------------------------------------------------

struct Digits {
  Tensor images, labels;

  int64_t size() const {
    return labels.size(0);
  }
  Digits at(const Tensor& indices) const {
    return {index(images, {indices}), index(labels, {indices})};
  }
};

Digits load(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error("cannot read " + path);
  }
  std::vector<float> pixels;
  std::vector<int64_t> labels;
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    std::string cell;
    for (int i = 0; i < 64; ++i) {
      std::getline(cells, cell, ',');
      pixels.push_back(std::stof(cell) / 16);
    }
    std::getline(cells, cell);
    labels.push_back(std::stoll(cell));
  }
  auto n = static_cast<int64_t>(labels.size());
  return {tensor(pixels, {n, 1, 8, 8}), tensor(labels)};
}

// --- training ----------------------------------------------------------------

double train(const Net& net, const Digits& digits, int64_t steps) {
  constexpr int64_t batch = 64;
  AdamW optimizer(net.parameters(), {.lr = 3e-3, .weight_decay = 1e-2});
  StepLR schedule(optimizer, std::max<int64_t>(1, steps / 3), 0.3);
  double last = 0;
  for (int64_t step = 0; step < steps;) {
    Tensor order = randperm(digits.size());
    for (int64_t at = 0; at < digits.size() && step < steps; at += batch) {
      Digits some = digits.at(slice(order, 0, at, at + batch));
      optimizer.zero_grad();
      Tensor loss = cross_entropy_loss(net(some.images), some.labels);
      backward(loss);
      optimizer.step();
      schedule.step();
      last = loss.item().to_double();
      if (step % 50 == 0) {
        std::cout << "step " << step << ": loss " << last << std::endl;
      }
      ++step;
    }
  }
  return last;
}

double accuracy(const Net& net, const Digits& digits) {
  NoGrad guard;
  Tensor right = eq(argmax(net(digits.images), 1), digits.labels);
  return mean(right, Dtype::Float32).item().to_double();
}

} // namespace

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::cerr << "usage: digits digits.csv [steps]\n";
    return 2;
  }
  int64_t steps = argc > 2 ? std::atoll(argv[2]) : 15 * 23;
  default_generator().manual_seed(0);
  Digits all = load(argv[1]);
  int64_t held_out = all.size() / 5;
  Tensor order = randperm(all.size());
  Digits test = all.at(slice(order, 0, 0, held_out));
  Digits rest = all.at(slice(order, 0, held_out));

  Net net;
  double loss = train(net, rest, steps);
  net.training = false;
  std::cout << steps << " steps, loss " << loss << '\n'
            << "accuracy on " << held_out
            << " held-out digits: " << 100 * accuracy(net, test) << "%\n";
  return 0;
} catch (const std::exception& e) {
  std::cerr << "digits: " << e.what() << '\n';
  return 1;
}
