// schemes.cpp: the names that timm, mmpretrain, older torchvision and the papers' authors use, as tables. names.h has the language.
//
// What is not here has our names already: torchvision; timm's residual networks (SE, ResNeXt, C, D) and MobileNet V1.
// EfficientNet of mmpretrain and timm's `tf_` variants are left out: their convolutions pad unevenly (TensorFlow's "same"), so equal
// weights would not make equal networks.
#include "vision/weights/names.h"

namespace fovea::vision {
namespace {

const std::vector<std::string_view> kResidual = {"resnet*", "wide_resnet*", "resnext*", "se_res*"};

/// mmpretrain: a convolution's module has its norm and activation in it, pooling is a module of its own.
NamingScheme vgg(std::string_view model, const std::string& modules, const std::string& convolutions, const std::string& norms) {
  NamingScheme scheme{.library = "mmpretrain", .models = {model}, .rules = {{"backbone.classifier.*", "classifier.*"}}};
  scheme.rules.push_back({"backbone.features." + modules + ".conv.*", "features." + convolutions + ".*"});
  if (!norms.empty()) scheme.rules.push_back({"backbone.features." + modules + ".bn.*", "features." + norms + ".*"});
  scheme.rules.push_back({"head.fc.*", "classifier.6.*"});
  return scheme;
}

std::vector<NamingScheme> make_schemes() {
  std::vector<NamingScheme> all;

  // ---- residual networks
  const std::vector<NameRule> mm_residual = {
      {"backbone.stem.{0.conv,0.bn,1.conv,1.bn,2.conv}.*", "conv1.{0,1,3,4,6}.*"},
      {"backbone.stem.2.bn.*", "bn1.*"},
      {"backbone.*", "*"},
      {"layer#.#.se_layer.conv{1,2}.conv.*", "layer#.#.se.fc{1,2}.*"},
      {"head.fc.*", "fc.*"},
  };
  all.push_back({.library = "mmpretrain", .models = kResidual, .rules = mm_residual});
  // Ours and timm's count the pooling in front of a projection even where its stride is 1 and there is none.
  all.push_back({.library = "mmpretrain", .models = {"resnet#_d"}, .rules = mm_residual});
  all.back().rules.push_back({"layer1.0.downsample.{0,1}.*", "layer1.0.downsample.{1,2}.*"});

  // ---- VGG
  all.push_back(
      {.library = "timm", .models = {"vgg*"}, .rules = {{"pre_logits.fc{1,2}.*", "classifier.{0,3}.*"}, {"head.fc.*", "classifier.6.*"}}});
  all.push_back(vgg("vgg11", "{0,2,4,5,7,8,10,11}", "{0,3,6,8,11,13,16,18}", ""));
  all.push_back(vgg("vgg11_bn", "{0,2,4,5,7,8,10,11}", "{0,4,8,11,15,18,22,25}", "{1,5,9,12,16,19,23,26}"));
  all.push_back(vgg("vgg13", "{0,1,3,4,6,7,9,10,12,13}", "{0,2,5,7,10,12,15,17,20,22}", ""));
  all.push_back(vgg("vgg13_bn", "{0,1,3,4,6,7,9,10,12,13}", "{0,3,7,10,14,17,21,24,28,31}", "{1,4,8,11,15,18,22,25,29,32}"));
  all.push_back(vgg("vgg16", "{0,1,3,4,6,7,8,10,11,12,14,15,16}", "{0,2,5,7,10,12,14,17,19,21,24,26,28}", ""));
  all.push_back(vgg("vgg16_bn", "{0,1,3,4,6,7,8,10,11,12,14,15,16}", "{0,3,7,10,14,17,20,24,27,30,34,37,40}",
                    "{1,4,8,11,15,18,21,25,28,31,35,38,41}"));
  all.push_back(vgg("vgg19", "{0,1,3,4,6,7,8,9,11,12,13,14,16,17,18,19}", "{0,2,5,7,10,12,14,16,19,21,23,25,28,30,32,34}", ""));
  all.push_back(vgg("vgg19_bn", "{0,1,3,4,6,7,8,9,11,12,13,14,16,17,18,19}", "{0,3,7,10,14,17,20,23,27,30,33,36,40,43,46,49}",
                    "{1,4,8,11,15,18,21,24,28,31,34,37,41,44,47,50}"));
  // ---- MobileNet V2: stage.block -> place
  all.push_back(
      {.library = "timm",
       .models = {"mobilenet_v2*"},
       .rules = {{"conv_stem.*", "features.0.0.*"},
                 {"bn1.*", "features.0.1.*"},
                 {"blocks.0.0.{conv_dw,bn1,conv_pw,bn2}.*", "features.1.conv.{0.0,0.1,1,2}.*"},
                 {"blocks.{1.0,1.1,2.0,2.1,2.2,3.0,3.1,3.2,3.3,4.0,4.1,4.2,5.0,5.1,5.2,6.0}.{conv_pw,bn1,conv_dw,bn2,conv_pwl,bn3}.*",
                  "features.{2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17}.conv.{0.0,0.1,1.0,1.1,2,3}.*"},
                 {"conv_head.*", "features.18.0.*"},
                 {"bn2.*", "features.18.1.*"},
                 {"classifier.{weight,bias}", "classifier.1.{weight,bias}"}}});
  all.push_back(
      {.library = "mmpretrain",
       .models = {"mobilenet_v2*"},
       .rules = {
           {"backbone.conv1.{conv,bn}.*", "features.0.{0,1}.*"},
           {"backbone.layer1.0.conv.{0.conv,0.bn,1.conv,1.bn}.*", "features.1.conv.{0.0,0.1,1,2}.*"},
           {"backbone.layer{2.0,2.1,3.0,3.1,3.2,4.0,4.1,4.2,4.3,5.0,5.1,5.2,6.0,6.1,6.2,7.0}.conv.{0.conv,0.bn,1.conv,1.bn,2.conv,2.bn}.*",
            "features.{2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17}.conv.{0.0,0.1,1.0,1.1,2,3}.*"},
           {"backbone.conv2.{conv,bn}.*", "features.18.{0,1}.*"},
           {"head.fc.*", "classifier.1.*"}}});

  // ---- MobileNet V3: a block has an expansion or not, SE or not. timm's norms have another epsilon.
  const std::vector<NameRule> timm_v3 = {{"conv_stem.*", "features.0.0.*"},
                                         {"bn1.*", "features.0.1.*"},
                                         {"conv_head.*", "classifier.0.*"},
                                         {"classifier.{weight,bias}", "classifier.3.{weight,bias}"}};
  all.push_back({.library = "timm", .models = {"mobilenet_v3_large"}, .rules = timm_v3, .norm_eps = 1e-5});
  for (const NameRule& rule : std::initializer_list<NameRule>{
           {"blocks.0.0.{conv_dw,bn1,conv_pw,bn2}.*", "features.1.block.{0.0,0.1,1.0,1.1}.*"},
           {"blocks.{1.0,1.1,3.0,3.1,3.2,3.3}.{conv_pw,bn1,conv_dw,bn2,conv_pwl,bn3}.*",
            "features.{2,3,7,8,9,10}.block.{0.0,0.1,1.0,1.1,2.0,2.1}.*"},
           {"blocks.{2.0,2.1,2.2,4.0,4.1,5.0,5.1,5.2}.{conv_pw,bn1,conv_dw,bn2,se.conv_reduce,se.conv_expand,conv_pwl,bn3}.*",
            "features.{4,5,6,11,12,13,14,15}.block.{0.0,0.1,1.0,1.1,2.fc1,2.fc2,3.0,3.1}.*"},
           {"blocks.6.0.{conv,bn1}.*", "features.16.{0,1}.*"}})
    all.back().rules.push_back(rule);
  all.push_back({.library = "timm", .models = {"mobilenet_v3_small"}, .rules = timm_v3, .norm_eps = 1e-5});
  for (const NameRule& rule : std::initializer_list<NameRule>{
           {"blocks.0.0.{conv_dw,bn1,se.conv_reduce,se.conv_expand,conv_pw,bn2}.*", "features.1.block.{0.0,0.1,1.fc1,1.fc2,2.0,2.1}.*"},
           {"blocks.{1.0,1.1}.{conv_pw,bn1,conv_dw,bn2,conv_pwl,bn3}.*", "features.{2,3}.block.{0.0,0.1,1.0,1.1,2.0,2.1}.*"},
           {"blocks.{2.0,2.1,2.2,3.0,3.1,4.0,4.1,4.2}.{conv_pw,bn1,conv_dw,bn2,se.conv_reduce,se.conv_expand,conv_pwl,bn3}.*",
            "features.{4,5,6,7,8,9,10,11}.block.{0.0,0.1,1.0,1.1,2.fc1,2.fc2,3.0,3.1}.*"},
           {"blocks.5.0.{conv,bn1}.*", "features.12.{0,1}.*"}})
    all.back().rules.push_back(rule);
  all.push_back(
      {.library = "mmpretrain",
       .models = {"mobilenet_v3_large"},
       .rules = {{"backbone.layer{0,16}.{conv,bn}.*", "features.{0,16}.{0,1}.*"},
                 {"backbone.layer1.{depthwise_conv.conv,depthwise_conv.bn,linear_conv.conv,linear_conv.bn}.*",
                  "features.1.block.{0.0,0.1,1.0,1.1}.*"},
                 {"backbone.layer{2,3,7,8,9,10}.{expand_conv.conv,expand_conv.bn,depthwise_conv.conv,depthwise_conv.bn,linear_conv.conv,"
                  "linear_conv.bn}.*",
                  "features.{2,3,7,8,9,10}.block.{0.0,0.1,1.0,1.1,2.0,2.1}.*"},
                 {"backbone.layer{4,5,6,11,12,13,14,15}.{expand_conv.conv,expand_conv.bn,depthwise_conv.conv,depthwise_conv.bn,"
                  "se.conv1.conv,se.conv2.conv,linear_conv.conv,linear_conv.bn}.*",
                  "features.{4,5,6,11,12,13,14,15}.block.{0.0,0.1,1.0,1.1,2.fc1,2.fc2,3.0,3.1}.*"},
                 {"head.layers.{0,1}.fc.*", "classifier.{0,3}.*"}}});
  all.push_back(
      {.library = "mmpretrain",
       .models = {"mobilenet_v3_small"},
       .rules = {{"backbone.layer{0,12}.{conv,bn}.*", "features.{0,12}.{0,1}.*"},
                 {"backbone.layer1.{depthwise_conv.conv,depthwise_conv.bn,se.conv1.conv,se.conv2.conv,linear_conv.conv,linear_conv.bn}.*",
                  "features.1.block.{0.0,0.1,1.fc1,1.fc2,2.0,2.1}.*"},
                 {"backbone.layer{2,3}.{expand_conv.conv,expand_conv.bn,depthwise_conv.conv,depthwise_conv.bn,linear_conv.conv,"
                  "linear_conv.bn}.*",
                  "features.{2,3}.block.{0.0,0.1,1.0,1.1,2.0,2.1}.*"},
                 {"backbone.layer{4,5,6,7,8,9,10,11}.{expand_conv.conv,expand_conv.bn,depthwise_conv.conv,depthwise_conv.bn,"
                  "se.conv1.conv,se.conv2.conv,linear_conv.conv,linear_conv.bn}.*",
                  "features.{4,5,6,7,8,9,10,11}.block.{0.0,0.1,1.0,1.1,2.fc1,2.fc2,3.0,3.1}.*"},
                 {"head.layers.{0,1}.fc.*", "classifier.{0,3}.*"}}});

  // ---- EfficientNet
  all.push_back({.library = "timm",
                 .models = {"efficientnet_b#"},
                 .rules = {{"conv_stem.*", "features.0.0.*"},
                           {"bn1.*", "features.0.1.*"},
                           {"blocks.0.#.{conv_dw,bn1,se.conv_reduce,se.conv_expand,conv_pw,bn2}.*",
                            "features.1.#.block.{0.0,0.1,1.fc1,1.fc2,2.0,2.1}.*"},
                           {"blocks.{1,2,3,4,5,6}.#.{conv_pw,bn1,conv_dw,bn2,se.conv_reduce,se.conv_expand,conv_pwl,bn3}.*",
                            "features.{2,3,4,5,6,7}.#.block.{0.0,0.1,1.0,1.1,2.fc1,2.fc2,3.0,3.1}.*"},
                           {"conv_head.*", "features.8.0.*"},
                           {"bn2.*", "features.8.1.*"},
                           {"classifier.{weight,bias}", "classifier.1.{weight,bias}"}},
                 .norm_eps = 1e-5});

  // ---- vision transformers
  all.push_back({.library = "timm and DeiT",
                 .models = {"vit_*", "deit_*"},
                 .rules = {{"cls_token", "class_token"},
                           {"dist_token", "distillation_token"},
                           {"pos_embed", "encoder.pos_embedding"},
                           {"patch_embed.proj.*", "conv_proj.*"},
                           {"blocks.#.{norm1,norm2,attn.proj,mlp.fc1,mlp.fc2}.*",
                            "encoder.layers.encoder_layer_#.{ln_1,ln_2,self_attention.out_proj,mlp.0,mlp.3}.*"},
                           {"blocks.#.attn.qkv.{weight,bias}", "encoder.layers.encoder_layer_#.self_attention.in_proj_{weight,bias}"},
                           {"norm.*", "encoder.ln.*"},
                           {"{head,head_dist}.*", "heads.{head,head_dist}.*"}}});
  all.push_back(
      {.library = "mmpretrain",
       .models = {"vit_*", "deit_*"},
       .rules = {{"backbone.cls_token", "class_token"},
                 {"backbone.dist_token", "distillation_token"},
                 {"backbone.pos_embed", "encoder.pos_embedding"},
                 {"backbone.patch_embed.projection.*", "conv_proj.*"},
                 {"backbone.layers.#.{ln1,ln2,attn.proj,ffn.layers.0.0,ffn.layers.1}.*",
                  "encoder.layers.encoder_layer_#.{ln_1,ln_2,self_attention.out_proj,mlp.0,mlp.3}.*"},
                 {"backbone.layers.#.attn.qkv.{weight,bias}", "encoder.layers.encoder_layer_#.self_attention.in_proj_{weight,bias}"},
                 {"backbone.ln1.*", "encoder.ln.*"},
                 {"head.layers.{head,head_dist}.*", "heads.{head,head_dist}.*"}}});
  // The published files are of this age.
  all.push_back({.library = "torchvision up to 0.13",
                 .models = {"vit_*", "deit_*"},
                 .rules = {{"encoder.layers.encoder_layer_#.mlp.linear_{1,2}.*", "encoder.layers.encoder_layer_#.mlp.{0,3}.*"}}});

  // ---- Swin
  const std::vector<NameRule> swin_blocks = {
      {"patch_embed.{proj,norm}.*", "features.0.{0,2}.*"},
      {"layers.#.blocks.#.{attn_mask,attn.relative_position_index}", ""},
      {"layers.{0,1,2,3}.blocks.#.{mlp.fc1,mlp.fc2}.*", "features.{1,3,5,7}.#.{mlp.0,mlp.3}.*"},
      {"layers.{0,1,2,3}.blocks.*", "features.{1,3,5,7}.*"},
  };
  all.push_back({.library = "timm", .models = {"swin_*"}, .rules = swin_blocks});
  all.back().rules.push_back({"layers.{1,2,3}.downsample.*", "features.{2,4,6}.*"});
  all.back().rules.push_back({"head.fc.*", "head.*"});
  all.push_back({.library = "Swin's authors and older timm", .models = {"swin_*"}, .rules = swin_blocks});
  all.back().rules.push_back({"layers.{0,1,2}.downsample.*", "features.{2,4,6}.*"});
  all.push_back({.library = "mmpretrain",
                 .models = {"swin_*"},
                 .rules = {{"backbone.patch_embed.{projection,norm}.*", "features.0.{0,2}.*"},
                           {"backbone.stages.#.blocks.#.attn.w_msa.relative_position_index", ""},
                           {"backbone.stages.{0,1,2,3}.blocks.#.{ffn.layers.0.0,ffn.layers.1}.*", "features.{1,3,5,7}.#.{mlp.0,mlp.3}.*"},
                           {"backbone.stages.{0,1,2,3}.blocks.#.attn.w_msa.*", "features.{1,3,5,7}.#.attn.*"},
                           {"backbone.stages.{0,1,2,3}.blocks.*", "features.{1,3,5,7}.*"},
                           {"backbone.stages.{0,1,2}.downsample.*", "features.{2,4,6}.*"},
                           {"backbone.norm3.*", "norm.*"},
                           {"head.fc.*", "head.*"}},
                 .unfolded_merging = true});

  // ---- ConvNeXt
  all.push_back({.library = "timm",
                 .models = {"convnext_*"},
                 .rules = {{"stem.*", "features.0.*"},
                           {"stages.{0,1,2,3}.blocks.#.gamma", "features.{1,3,5,7}.#.layer_scale"},
                           {"stages.{0,1,2,3}.blocks.#.{conv_dw,norm,mlp.fc1,mlp.fc2}.*", "features.{1,3,5,7}.#.block.{0,2,3,5}.*"},
                           {"stages.{1,2,3}.downsample.*", "features.{2,4,6}.*"},
                           {"head.{norm,fc}.*", "classifier.{0,2}.*"}}});
  all.push_back({.library = "ConvNeXt's authors",
                 .models = {"convnext_*"},
                 .rules = {{"downsample_layers.{0,1,2,3}.*", "features.{0,2,4,6}.*"},
                           {"stages.{0,1,2,3}.#.gamma", "features.{1,3,5,7}.#.layer_scale"},
                           {"stages.{0,1,2,3}.#.{dwconv,norm,pwconv1,pwconv2}.*", "features.{1,3,5,7}.#.block.{0,2,3,5}.*"},
                           {"{norm,head}.*", "classifier.{0,2}.*"}}});
  all.push_back({.library = "mmpretrain",
                 .models = {"convnext_*"},
                 .rules = {{"backbone.downsample_layers.{0,1,2,3}.*", "features.{0,2,4,6}.*"},
                           {"backbone.stages.{0,1,2,3}.#.gamma", "features.{1,3,5,7}.#.layer_scale"},
                           {"backbone.stages.{0,1,2,3}.#.{depthwise_conv,norm,pointwise_conv1,pointwise_conv2}.*",
                            "features.{1,3,5,7}.#.block.{0,2,3,5}.*"},
                           {"{backbone.norm3,head.fc}.*", "classifier.{0,2}.*"}}});
  return all;
}

}   // namespace

const std::vector<NamingScheme>& naming_schemes() {
  static const std::vector<NamingScheme> schemes = make_schemes();
  return schemes;
}

}   // namespace fovea::vision
