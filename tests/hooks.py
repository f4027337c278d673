"""Callbacks that tests attach to models."""

from sklearn.base import clone

from models import independent_classes

X, Y = independent_classes(2, 80)


class Recorder:
    """Follows the protocol and asks for no value."""

    def __init__(self, stop=None):
        self.events = []
        self.stop = stop

    def setup(self, estimator, context):
        self.events.append(("setup", *self.place(context)))

    def teardown(self, estimator, context):
        self.events.append(("teardown", *self.place(context)))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", *self.place(context)))

    def on_fit_task_end(self, estimator, context):
        self.events.append(("end", *self.place(context)))
        return self.stop is not None and self.stop(context)

    @staticmethod
    def place(context):
        path, task = [], context
        while task is not None:
            path.insert(0, task.task_id)
            task = task.parent
        return context.task_name, tuple(path)

    def paths(self, task_name, event="end"):
        found = [
            path
            for what, name, path in self.events
            if (what, name) == (event, task_name)
        ]
        assert len(set(found)) == len(found)
        return found

    def assert_nested(self):
        """Every task ends once, after the tasks within it, inside setup … teardown."""
        assert self.events[0][0] == "setup"
        assert self.events[-1][0] == "teardown"
        opened = []
        for what, name, path in self.events[1:-1]:
            if what == "begin":
                assert path[:-1] == (opened[-1][1] if opened else ())
                opened.append((name, path))
            else:
                assert opened.pop() == (name, path)
        assert not opened


def stopping_at(task, number):
    """Return a callback that asks to stop at the end of a task."""
    return Recorder(lambda c: (c.task_name, c.task_id) == (task, number))


class Observer(Recorder):
    """Asks for every value."""

    def __init__(self):
        super().__init__()
        self.begun, self.ended = [], []

    # pyrefly: ignore  # scikit-learn reads from the signature what a hook asks for
    def on_fit_task_begin(
        self, estimator, context, *, X, y, metadata, fitted_estimator
    ):
        super().on_fit_task_begin(estimator, context)
        self.begun.append((context.task_name, X, y, metadata, fitted_estimator))

    # pyrefly: ignore
    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.ended.append((context.task_name, X, y, metadata, fitted_estimator))
        return super().on_fit_task_end(estimator, context)


class Failing(Recorder):
    """Raises an error in one of its hooks, at one task."""

    def __init__(self, hook, task, error):
        super().__init__()
        self.where, self.error = (hook, task), error

    def setup(self, estimator, context):
        super().setup(estimator, context)
        self.fail("setup", context)

    def on_fit_task_begin(self, estimator, context):
        super().on_fit_task_begin(estimator, context)
        self.fail("begin", context)

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        self.fail("end", context)

    def fail(self, hook, context):
        if self.where == (hook, context.task_name):
            raise self.error


def fitted(model, *callbacks, **params):
    return clone(model).set_params(**params).set_callbacks(*callbacks).fit(X, Y)
