// predict.cpp: `fovea predict`: what does the network in a checkpoint see in these pictures?
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "autograd/softmax.h"
#include "examples/cli/commands.h"
#include "vision/data/image_file.h"
#include "vision/training/checkpoint.h"
#include "vision/transforms/resize.h"
#include "vision/transforms/transform.h"

namespace fovea::cli {
namespace {

struct PredictFlags {
  ModelFlags network;
  std::string invert = "auto";
  std::vector<std::string> images;
  int top = 3;
  MachineOptions machine;
  bool json = false;
};

/// The mean of the outermost pixels, 0..255.
double border_mean(const Tensor& image) {   // (H, W, C)
  const std::int64_t H = image.dim(0), W = image.dim(1), C = image.dim(2);
  const std::uint8_t* x = image.data<std::uint8_t>();
  double sum = 0;
  std::int64_t n = 0;
  for (std::int64_t r = 0; r < H; ++r)
    for (std::int64_t c = 0; c < W; ++c)
      if (r == 0 || c == 0 || r == H - 1 || c == W - 1)
        for (std::int64_t k = 0; k < C; ++k, ++n) sum += x[(r * W + c) * C + k];
  return sum / static_cast<double>(n);
}

/// The picture as the network's evaluation pictures are: resized and cut as they were; and with a dark ground where theirs is dark.
/// Handwriting is usually dark on white while MNIST is the other way round; with "auto" the picture's border tells. Where training needed no
/// resizing, grey pictures on a dark ground are padded to a square (nothing is cut from a digit), others lose what is outside the middle.
struct Prepared {
  Tensor input;   // (1, H, W, C), normalised
  bool inverted = false;
};
Prepared prepare(const std::string& path, const vision::ModelCard& card, const std::string& invert, const MachineOptions& machine) {
  Prepared p;
  Tensor image = vision::read_image(path, static_cast<int>(card.channels));
  const bool dark_ground = card.channels == 1 && card.mean[0] < 0.3f;
  p.inverted = invert == "on" || (invert == "auto" && dark_ground && border_mean(image) > 127.5);
  if (p.inverted) image = vision::invert(image);
  const bool fits = image.dim(0) == card.height && image.dim(1) == card.width;
  vision::InputOptions input = vision::input_options(card);
  if (input.resize == 0 && !fits) {
    if (card.height != card.width)
      image = vision::resize(image, card.height, card.width);
    else if (dark_ground)
      image = vision::resize_to_square(image, card.height, vision::SquareFit::pad);
    else
      input.resize = card.height;
  }
  const vision::Transform transform(input, {card.mean, card.std});
  Tensor input_on_host = Tensor::empty({1, card.height, card.width, card.channels});
  transform(image, 0, input_on_host.data<float>());
  p.input = input_on_host.to(machine.dtype()).to(machine.where());
  return p;
}

int predict(const PredictFlags& flags) {
  std::FILE* const talk = flags.json ? stderr : stdout;
  flags.machine.apply(talk);
  const vision::LoadedModel model = flags.network.load(flags.machine.where(), talk);
  const vision::ModelCard& card = model.card;
  const NoGrad no_grad;
  std::size_t width = 0;
  for (const std::string& name : card.class_names) width = std::max(width, name.size());
  std::vector<Prepared> pictures;   // all first: a bad file is told before anything is printed
  for (const std::string& path : flags.images) pictures.push_back(prepare(path, card, flags.invert, flags.machine));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const Variable logits = (*model.network)(Variable(pictures[i].input));
    const std::vector<double> p = softmax(logits).value().to_vector<double>();
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
    if (flags.json) {   // one object a line
      nlohmann::ordered_json probabilities;
      for (const std::size_t c : order) probabilities[card.class_names[c]] = p[c];
      fmt::print("{}\n", nlohmann::ordered_json{{"image", flags.images[i]},
                                                {"class", card.class_names[order[0]]},
                                                {"probability", p[order[0]]},
                                                {"inverted", pictures[i].inverted},
                                                {"probabilities", probabilities}}
                             .dump());
      continue;
    }
    fmt::print("{}{}\n", flags.images[i],
               pictures[i].inverted ? "  (inverted: the network knows light on dark; --invert off keeps it)" : "");
    for (std::size_t k = 0; k < order.size() && k < static_cast<std::size_t>(flags.top); ++k) {
      const double q = p[order[k]];
      std::string bar;
      for (int b = 0; b < static_cast<int>(q * 40 + 0.5); ++b) bar += "█";
      fmt::print("  {:<{}}  {:6.2f} %  {}\n", card.class_names[order[k]], width, 100 * q, bar);
    }
  }
  return 0;
}

}   // namespace

void add_predict(CommandLine& line) {
  Command command = line.command("predict", "Tell what pictures show.");
  auto flags = std::make_shared<PredictFlags>();
  command.texts("images", flags->images, "PNG, JPEG, BMP or PNM files", {.type = "IMAGE", .required = true});
  flags->network.add_to(command);
  command.number("--top", flags->top, "show the so many most probable classes [3]", {.low = 1, .high = 1000});
  command.text("--invert", flags->invert,
               "exchange light and dark [auto: where a grey picture's border is light and the network's data is dark]",
               {.choices = {"auto", "on", "off"}});
  flags->machine.add_to(command);
  command.flag("--json", flags->json, "print one JSON object a picture, with every class's probability");
  command.action([flags] { return predict(*flags); });
}

}   // namespace fovea::cli
