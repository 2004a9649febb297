"""+ - * / with every way of broadcasting: tests/autograd/test_arithmetic.cpp."""
import operator

from stored import Cases, normal

cases = Cases("arithmetic")
pairs = {
    "equal": ((3, 17), (3, 17)), "channels": ((2, 3, 3), (3,)), "channels_first": ((17,), (5, 17)),
    "gate": ((2, 3, 2, 5), (2, 1, 1, 5)), "per_row": ((3, 4, 5), (3, 4, 1)), "position": ((2, 3, 5), (1, 3, 5)),
    "outer": ((3, 1), (1, 5)), "apart": ((2, 3, 4, 3), (1, 3, 1, 3)), "both": ((2, 1, 3, 1), (3, 1, 5)),
    "one_of_each": ((1, 3), (3,)), "scalar": ((2, 3), ()), "one": ((1, 1), (33,)),
}
ops = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv}
for op, f in ops.items():
    for name, (a, b) in pairs.items():
        divisor = normal(*b)
        cases.add(f"{op}_{name}", f, normal(*a), divisor + divisor.sign() if op == "div" else divisor)
cases.add("expand", lambda x: x.expand(2, 3, 4, -1), normal(3, 1, 5))
cases.add("numbers", lambda x: (3 - x / 7) * 0.3 + 2 / x, normal(3, 7).abs() + 0.5)
cases.save()
