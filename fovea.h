// fovea.h: what most programs need, in the order of the folders. Whatever is not here is included by its own header.
#pragma once

#include "tensor/safetensors.h"
#include "tensor/tensor.h"

#include "autograd/activation.h"
#include "autograd/conv.h"
#include "autograd/dot.h"
#include "autograd/gradcheck.h"
#include "autograd/linear.h"
#include "autograd/loss.h"
#include "autograd/norm.h"
#include "autograd/pooling.h"
#include "autograd/shape_ops.h"
#include "autograd/variable.h"

#include "nn/activation.h"
#include "nn/batch_norm.h"
#include "nn/conv2d.h"
#include "nn/conv_norm_act.h"
#include "nn/flatten.h"
#include "nn/init.h"
#include "nn/linear.h"
#include "nn/module.h"
#include "nn/pooling.h"
#include "nn/sequential.h"
#include "nn/state.h"

#include "optim/schedule.h"
#include "optim/sgd.h"

#include "vision/data/loader.h"
#include "vision/models/models.h"
#include "vision/training/trainer.h"
