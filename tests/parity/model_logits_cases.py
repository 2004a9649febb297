"""The networks that model_logits.py and model_facts.py look at."""
# Every network but resnet8_mnist, which is nobody else's, at a small size: each stage still has more than one pixel, or window, somewhere.
CASES = """lenet5@32 alexnet@64 alexnet_2012@67 vgg11@32 vgg13@32 vgg16@32 vgg19@32 vgg11_bn@32 vgg13_bn@32 vgg16_bn@32 vgg19_bn@32
googlenet@64 googlenet_paper@64
resnet18@64 resnet34@64 resnet50@64 resnet101@64 resnet152@64 resnet50_v1_original@64 resnet101_v1_original@64 resnet152_v1_original@64
wide_resnet50_2@64 wide_resnet101_2@64 resnext50_32x4d@64 resnext101_32x4d@64 resnext101_32x8d@64 resnext101_64x4d@64 resnext152_32x4d@64
resnet50_c@64 resnet101_c@64 resnet152_c@64 resnet18_d@65 resnet34_d@65 resnet50_d@65 resnet101_d@65 resnet152_d@65
se_resnet18@64 se_resnet34@64 se_resnet50@64 se_resnet101@64 se_resnet152@64 se_resnext50_32x4d@64
resnet20_he_cifar@32 resnet32_he_cifar@32 resnet44_he_cifar@32 resnet56_he_cifar@32 resnet110_he_cifar@32
plain20_he_cifar@32 plain32_he_cifar@32 plain44_he_cifar@32 plain56_he_cifar@32 plain110_he_cifar@32
mobilenet_v1_0.25@64 mobilenet_v1_0.5@64 mobilenet_v1_0.75@64 mobilenet_v1_1.0@64 mobilenet_v1_1.25@64
mobilenet_v2@64 mobilenet_v2_1.4@64 mobilenet_v2_0.5@64 mobilenet_v3_small@64 mobilenet_v3_large@64
efficientnet_b0@64 efficientnet_b1@64 efficientnet_b2@64 efficientnet_b3@64 efficientnet_b4@64 efficientnet_b5@64 efficientnet_b6@64
efficientnet_b7@64 vit_tiny_p16@224 vit_small_p16@64 vit_small_p32@96 vit_b_16@64 vit_b_32@96 vit_l_16@64 vit_l_32@96
deit_tiny_distilled_p16@224 deit_small_distilled_p16@64 deit_base_distilled_p16@64 swin_t@96 swin_s@64 swin_b@64 swin_l@64
convnext_tiny@64 convnext_small@64 convnext_base@64 convnext_large@64 convnext_xlarge@64""".split()
