"""Parameters for Ax, and for services that take the same dictionaries. Nothing of Ax is imported.

AxClient().create_experiment(parameters=to_ax("digits"), objectives={"val": ObjectiveProperties(minimize=False)})
"""

from __future__ import annotations

from typing import Any

from nasbench_lab.interop.objectives import plain_options, space_of

_KINDS = {bool: "bool", int: "int", float: "float", str: "str"}


def to_ax(of: Any) -> list[dict[str, Any]]:
    """One dictionary a decision: name, type "choice", its labels as values, of which type they are, whether in order.

    A decision with one option is "fixed". Labels of several types are written as text.

    Args:
        of: an objective, a table (itself or by name), or a space.
    """
    found = []
    for each in space_of(of).decisions:
        values = plain_options(each)
        kinds = {type(value) for value in values}
        kind = next(iter(kinds)) if len(kinds) == 1 else float if kinds == {int, float} else str
        values = [kind(value) for value in values]
        parameter = {"name": each.name, "value_type": _KINDS[kind]}
        if len(values) == 1:
            found.append(parameter | {"type": "fixed", "value": values[0]})
        else:
            order = {"is_ordered": each.ordered, "sort_values": False}
            found.append(parameter | {"type": "choice", "values": values} | order)
    return found
