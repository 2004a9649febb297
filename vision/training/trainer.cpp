#include "vision/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "autograd/arithmetic.h"
#include "autograd/loss.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/lamb.h"
#include "optim/lars.h"
#include "optim/rmsprop.h"
#include "optim/sgd.h"
#include "tensor/cuda.h"
#include "vision/data/loader.h"
#include "vision/models/models.h"
#include "vision/weights/open_model.h"

namespace fovea::vision {
namespace {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

optim::Schedule make_schedule(const Recipe& r, std::int64_t steps) {
  if (r.schedule == "one_cycle") return optim::one_cycle({.max_lr = r.lr, .steps = steps, .pct_start = r.warmup});
  const std::int64_t rising = std::llround(r.warmup * static_cast<double>(steps));
  return optim::warmup(optim::cosine({.lr = r.lr, .steps = std::max<std::int64_t>(steps - rising, 1)}), rising, 0.04);
}

/// After so many steps the host reads what they gave.
std::size_t steps_between_reads(Device device) { return device == Device::cuda ? 16 : 1; }

}   // namespace

std::unique_ptr<optim::Optimizer> make_optimizer(const Recipe& r, nn::Module& network) {
  optim::Parameters p(network.parameters());
  if (!r.decay_vectors) p.weight_decay(0, optim::undecayed);
  const bool nesterov = r.nesterov && r.momentum > 0;
  if (r.optimizer == "adam") return std::make_unique<optim::Adam>(p, optim::AdamOptions{.lr = r.lr, .weight_decay = r.weight_decay});
  if (r.optimizer == "adamw") return std::make_unique<optim::AdamW>(p, optim::AdamWOptions{.lr = r.lr, .weight_decay = r.weight_decay});
  if (r.optimizer == "lamb") return std::make_unique<optim::LAMB>(p, optim::LAMBOptions{.lr = r.lr, .weight_decay = r.weight_decay});
  if (r.optimizer == "rmsprop")
    return std::make_unique<optim::RMSprop>(p, optim::RMSpropOptions{.lr = r.lr, .weight_decay = r.weight_decay, .momentum = r.momentum});
  if (r.optimizer == "lars")
    return std::make_unique<optim::LARS>(
        p, optim::LARSOptions{.lr = r.lr, .momentum = r.momentum, .weight_decay = r.weight_decay, .nesterov = nesterov});
  return std::make_unique<optim::SGD>(
      p, optim::SGDOptions{.lr = r.lr, .momentum = r.momentum, .weight_decay = r.weight_decay, .nesterov = nesterov});
}

InputOptions input_of(const Recipe& r, const DataSplits& data) {
  std::optional<PictureShape> common = data.train.common_shape();
  for (const Pictures* part : {&data.validation, &data.test})
    if (part->size() > 0 && part->common_shape() != common) common.reset();
  if (r.image_size == 0 && r.resize_size > 0) throw RecipeError("resize_size: expected image_size to be set too");
  if (r.image_size == 0 && common) return {.height = common->height, .width = common->width};
  const std::int64_t side = r.image_size > 0 ? r.image_size : 224;
  if (r.resize_size == 0 && common && common->height == side && common->width == side) return {.height = side, .width = side};
  const std::int64_t resize = r.resize_size > 0 ? r.resize_size : std::llround(static_cast<double>(side) * 256 / 224);
  if (resize < side) throw RecipeError(detail::join("resize_size: expected at least image_size (", side, "), got ", resize));
  return {.height = side, .width = side, .resize = resize};
}

AugmentOptions augment_of(const Recipe& r, const InputOptions& input) {
  const Crop automatic = input.resize > 0 ? Crop::resized : Crop::random;
  return {.crop = r.crop == "auto"      ? automatic
                  : r.crop == "random"  ? Crop::random
                  : r.crop == "resized" ? Crop::resized
                                        : Crop::center,
          .crop_padding = r.crop_padding,
          .resized = {.scale_min = r.crop_scale, .scale_max = 1, .ratio_min = r.crop_ratio, .ratio_max = 1 / r.crop_ratio},
          .flip = r.flip};
}

Trainer::Trainer(const Recipe& recipe, DataSplits data, RunFolder folder, TrainOptions o)
    : recipe_(recipe),
      data_(std::move(data)),
      folder_(std::move(folder)),
      o_(std::move(o)),
      device_(device_of(recipe)),
      normalize_(data_.mean, data_.std) {
  input_ = input_of(recipe, data_);
  augment_ = augment_of(recipe, input_);
  data_.train = data_.train.first(recipe.train_limit);
  data_.validation = data_.validation.first(recipe.eval_limit);
  data_.test = data_.test.first(recipe.eval_limit);
  require(data_.train.size() >= recipe.batch, "batch: expected at most the number of training pictures (", data_.train.size(), "), got ",
          recipe.batch);
  Recipe said = recipe;   // where a file lies does not decide the result
  said.weights = std::filesystem::path(recipe.weights).filename().string();
  card_ = {.model = recipe.model,
           .height = input_.height,
           .width = input_.width,
           .channels = data_.train.shape(0).channels,
           .resize = input_.resize,
           .class_names = data_.train.class_names(),
           .mean = data_.mean,
           .std = data_.std,
           .recipe = to_toml(said, false)};

  if (device_ == Device::cuda) {
    allow_tf32(recipe.precision == "tf32");
    use_cublas(recipe.gemm == "cublas");
  }
  manual_seed(static_cast<std::uint64_t>(recipe.seed));
  network_ = build(recipe.model, model_options(card_));
  if (!recipe.weights.empty() && !o_.resume) begin_with_weights();
  network_->to(DType::f32, device_);
  optimizer_ = make_optimizer(recipe, *network_);
  if (recipe.graph) graph_.emplace([this](const Tensor& images, const Tensor& labels) { return step(images, labels); });
  steps_ = data_.train.size() / recipe.batch;   // a last batch that is not full is left out; the next epoch's order is another
  schedule_ = make_schedule(recipe, recipe.epochs * steps_);
}

void Trainer::begin_with_weights() {
  std::FILE* const talk = o_.progress ? o_.progress : stderr;
  const FoundWeights found = find_weights(recipe_.weights, talk);
  try {
    const ImportReport report = load_weights(*network_, recipe_.model, read_weight_file(found.path));
    std::fprintf(talk, "weights %s: %s", found.path.c_str(), report.str().c_str());
  } catch (const Error& e) {
    throw Error(found.path.string() + ": " + e.what());
  }
}

TrainingResult Trainer::run() {
  if (o_.resume) resume();
  if (o_.progress) progress_.emplace(recipe_.epochs, steps_, state_.epoch, ProgressOptions{.out = o_.progress});
  while (state_.epoch < recipe_.epochs) {
    if (!train_epoch()) {
      save();
      progress_.reset();
      return {.interrupted = true};
    }
    finish_epoch();
  }
  return test();
}

bool Trainer::train_epoch() {
  const Stopwatch watch;
  const RandomKey key{.seed = static_cast<std::uint64_t>(recipe_.seed)};
  const auto epoch = static_cast<std::uint64_t>(state_.epoch);
  std::vector<std::int64_t> order = epoch_order(data_.train.size(), key, epoch);
  order.erase(order.begin(), order.begin() + state_.step * recipe_.batch);   // what was done before an interrupt
  Batches batches(data_.train, std::move(order), normalize_,
                  {.batch = recipe_.batch,
                   .drop_last = true,
                   .workers = static_cast<int>(recipe_.workers),
                   .device = device_,
                   .dtype = precision_of(recipe_.precision),
                   .input = input_,
                   .augment = augment_},
                  key, epoch);
  network_->train();
  if (progress_) progress_->begin_epoch(state_.epoch);
  for (const Batch& batch : batches) {
    const double lr = schedule_(state_.epoch * steps_ + state_.step);
    optimizer_->set_lr(lr);
    const StepOutput output = graph_ ? (*graph_)(batch.images, batch.labels) : step(batch.images, batch.labels);
    if (recipe_.clip_norm > 0) optim::clip_norm(optimizer_->arena(), recipe_.clip_norm);
    optimizer_->step();

    ++state_.step;
    unread_.push_back({.step = state_.step, .lr = lr, .output = output, .labels = batch.labels});
    if (unread_.size() >= steps_between_reads(device_)) read_steps();
    if (o_.stop && o_.stop()) {
      read_steps();
      return false;
    }
  }
  read_steps();
  epoch_seconds_ = watch.seconds();
  epoch_images_per_s_ = static_cast<double>(batches.size() * recipe_.batch) / epoch_seconds_;
  return true;
}

StepOutput Trainer::step(const Tensor& images, const Tensor& labels) {
  optimizer_->zero_grad();
  const Variable logits = (*network_)(Variable(images));
  const Variable loss = cross_entropy(logits, labels, {.label_smoothing = recipe_.label_smoothing});
  // Heads on the side (GoogLeNet's, DeiT's distillation token) learn from the same labels; what is reported is the main loss.
  Variable total = loss;
  for (const auto& side : network_->take_auxiliary())
    total = total + side.weight * cross_entropy(side.logits, labels, {.label_smoothing = recipe_.label_smoothing});
  total.backward();
  return {.loss = loss.value(), .predicted = predicted_classes(logits.value())};
}

void Trainer::read_steps() {
  for (const UnreadStep& s : unread_) {
    const double loss = s.output.loss.item();
    if (!std::isfinite(loss))
      throw Error(detail::join("epoch ", state_.epoch + 1, ", step ", s.step, ": the loss is ",
                               std::isnan(loss) ? "not a number" : "infinite", ": training diverged; try a lower learning rate (--lr ",
                               recipe_.lr / 4, ")"));
    const std::int64_t* label = s.labels.data<std::int64_t>();
    for (const std::int64_t p : read_classes(s.output.predicted)) state_.correct += p == *label++;
    state_.images += recipe_.batch;
    state_.loss_sum += loss * static_cast<double>(recipe_.batch);
    const auto images = static_cast<double>(state_.images);
    if (progress_)
      progress_->step(recipe_.batch,
                      {.loss = state_.loss_sum / images, .accuracy = static_cast<double>(state_.correct) / images, .lr = s.lr});
  }
  unread_.clear();
}

void Trainer::finish_epoch() {
  const Stopwatch watch;
  if (progress_) progress_->stage("validating");
  Evaluation val;
  try {
    val = evaluate_on(*network_, data_.validation);
  } catch (const Error& e) {   // diverged in the epoch's last step
    throw Error(detail::join("epoch ", state_.epoch + 1, ", validation: ", e.what()));
  }
  const auto images = static_cast<double>(state_.images);
  const Progress::Summary s{.train_loss = state_.loss_sum / images,
                            .val_loss = val.loss,
                            .val_accuracy = val.top1,
                            .lr = schedule_((state_.epoch + 1) * steps_ - 1),
                            .images_per_s = epoch_images_per_s_,
                            .seconds = epoch_seconds_ + watch.seconds()};
  const double train_top1 = static_cast<double>(state_.correct) / images;
  ++state_.epoch;
  state_.step = state_.images = state_.correct = 0;
  state_.loss_sum = 0;

  // In this order, so that a kill between any two leaves a folder that resumes as if it had come a little earlier: `last` decides.
  // The best network is the one of the lowest validation loss: top-1 counts a few pictures, one more or less is chance, while the loss
  // weighs them all.
  if (state_.best_epoch == 0 || val.loss < state_.best_val_loss) {
    state_.best_val_loss = val.loss;
    state_.best_val_top1 = val.top1;
    state_.best_epoch = state_.epoch;
    save_model(folder_.best(), *network_, card_);
  }
  std::vector<std::string> lines = folder_.metrics_lines();
  lines.push_back(nlohmann::ordered_json{
      {"epoch", state_.epoch},
      {"train_loss", s.train_loss},
      {"train_top1", train_top1},
      {"val_loss", s.val_loss},
      {"val_top1", s.val_accuracy},
      {"lr", s.lr},
      {"images_per_s", s.images_per_s},
      {"seconds",
       s.seconds}}.dump());
  folder_.write_metrics(lines);
  save();
  if (progress_) progress_->end_epoch(s);
}

void Trainer::save() {
  state_.generator_seed = default_generator().seed();
  state_.generator_used = default_generator().used();
  save_training(folder_.last(), *network_, card_, *optimizer_, state_);
}

void Trainer::resume() {
  if (!std::filesystem::exists(folder_.last())) {   // stopped before anything was saved: from the start
    folder_.write_metrics({});
    return;
  }
  state_ = load_training(folder_.last(), *network_, card_, *optimizer_);
  default_generator().set_state(state_.generator_seed, state_.generator_used);
  // A line of an epoch that `last` has not finished, or of a test, belongs to a run that was killed before it could save.
  std::vector<std::string> lines;
  for (const std::string& line : folder_.metrics_lines()) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (j.is_object() && j.value("epoch", std::int64_t{0}) >= 1 && j["epoch"] <= state_.epoch) lines.push_back(line);
  }
  folder_.write_metrics(lines);
}

Evaluation Trainer::evaluate_on(nn::Module& network, const Pictures& pictures) const {
  return evaluate(
      network, pictures, normalize_,
      {.device = device_, .dtype = precision_of(recipe_.precision), .input = input_, .workers = static_cast<int>(recipe_.workers)});
}

TrainingResult Trainer::test() {
  const bool on_test = data_.test.size() > 0;
  if (progress_ && on_test) progress_->stage("testing");
  const LoadedModel best = load_model(folder_.best(), device_);
  TrainingResult result{.best_epoch = state_.best_epoch,
                        .best_val_top1 = state_.best_val_top1,
                        .on_test = on_test,
                        .test = evaluate_on(*best.network, on_test ? data_.test : data_.validation)};
  std::vector<std::string> lines = folder_.metrics_lines();
  for (const std::string& line : lines) result.seconds += nlohmann::json::parse(line).value("seconds", 0.0);
  const std::string split = on_test ? "test" : "val";
  lines.push_back(nlohmann::ordered_json{{split + "_top1", result.test.top1},
                                         {split + "_loss", result.test.loss},
                                         {"best_epoch", result.best_epoch},
                                         {"seconds", result.seconds}}
                      .dump());
  folder_.write_metrics(lines);
  progress_.reset();
  return result;
}

}   // namespace fovea::vision
