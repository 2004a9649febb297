"""Slices, padding, permutations, concatenation and channel shuffle: tests/autograd/test_shape_ops.cpp."""
import torch
import torch.nn.functional as F

from stored import Cases, normal, to_nchw, to_nhwc

cases = Cases("shape_ops")
cases.add("slice", lambda x: x[:, 1:-1:2, 3:], normal(2, 6, 5))
cases.add("pad", lambda x: F.pad(x, (2, 1, 0, 3)), normal(2, 3, 5))
# The parameter-free shortcut of He et al. 2016, section 4.2, as the usual CIFAR ResNets write it.
cases.add("shortcut_a", lambda x: to_nhwc(F.pad(to_nchw(x)[:, :, ::2, ::2], (0, 0, 0, 0, 3, 3))), normal(2, 5, 4, 3))
cases.add("permute", lambda x: x.permute(2, 0, 3, 1), normal(2, 3, 4, 5))
cases.add("transpose", lambda x: x.transpose(-1, 1), normal(2, 3, 4, 5))
cases.add("heads", lambda x: x.reshape(2, 5, 3, 4).transpose(1, 2), normal(2, 5, 12))
cases.add("concatenate", lambda a, b, c: torch.cat([a, b, c], -1), normal(2, 3, 1), normal(2, 3, 5), normal(2, 3, 2))
cases.add("split", lambda x: torch.cat(list(x.split([1, 4, 2], 1))[::-1], 1), normal(3, 7, 2))
cases.add("chunk", lambda x: torch.mul(*x.chunk(2, -1)), normal(3, 8))
shuffle = torch.nn.ChannelShuffle(3)
cases.add("channel_shuffle", lambda x: to_nhwc(shuffle(to_nchw(x))), normal(2, 2, 3, 12))
cases.save()
