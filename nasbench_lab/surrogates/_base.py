"""What surrogates share: scikit-learn's parameter protocol on dataclass fields, so that `sklearn.base.clone` works."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Self


class Parameters:
    """Mixin of a dataclass: its fields are its parameters; what `fit` learns are attributes ending in `_`."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name. `deep` is scikit-learn's and changes nothing: no parameter is an estimator."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.init}  # type: ignore[arg-type]

    def set_params(self, **values: Any) -> Self:
        """Set parameters.

        Raises:
            ValueError: no such parameter.
        """
        known = self.get_params()
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has: {', '.join(known)}")
            setattr(self, name, value)
        return self
