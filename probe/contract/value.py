"""Frozen values without the price of `dataclasses`.

`dataclasses` imports inspect, which takes longer than a whole check: 12 of the 30 ms that
`python -c 'import socket, dataclasses'` needs. So type checkers see a frozen dataclass, and at run
time the few lines below do what one does.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar
    from typing import dataclass_transform

    T = TypeVar("T")

    @dataclass_transform(frozen_default=True)
    def value(cls: type[T]) -> type[T]: ...

else:

    def value(cls: type) -> type:
        """Give *cls* what `dataclass(frozen=True)` would: its annotations are its fields."""
        fields = tuple(cls.__annotations__)

        def initialise(self, *values, **named):
            given = dict(zip(fields, values, strict=False))
            if len(values) > len(fields) or given.keys() & named or named.keys() - set(fields):
                raise TypeError(f"{cls.__name__} takes {', '.join(fields)}")
            given |= named
            for field in fields:
                if field not in given and not hasattr(cls, field):
                    raise TypeError(f"{cls.__name__} needs {field}")
            self.__dict__.update({f: given.get(f, getattr(cls, f, None)) for f in fields})
            if hasattr(self, "__post_init__"):
                self.__post_init__()

        def refuse(self, name, _value=None):
            raise AttributeError(f"{cls.__name__}.{name} cannot be changed")

        def state(self):
            return tuple(self.__dict__[field] for field in fields)

        def show(self):
            shown = (f"{f}={v!r}" for f, v in zip(fields, state(self), strict=True))
            return f"{cls.__name__}({', '.join(shown)})"

        cls.__match_args__ = fields
        cls.__init__ = initialise
        cls.__setattr__ = cls.__delattr__ = refuse
        cls.__eq__ = lambda self, other: (
            state(self) == state(other) if type(other) is cls else NotImplemented
        )
        cls.__hash__ = lambda self: hash(state(self))
        cls.__repr__ = show
        return cls
