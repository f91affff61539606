"""Walks over trees of events (``experimental_event_tree``)."""

import collections

__all__ = ["traverse_bfs", "traverse_dfs"]


def traverse_dfs(tree):
    """The events, each before what lay in it, in order."""
    stack = list(reversed(tree))
    while stack:
        event = stack.pop()
        yield event
        stack.extend(reversed(event.children))


def traverse_bfs(tree):
    """The events, those of one depth after another."""
    waiting = collections.deque(tree)
    while waiting:
        event = waiting.popleft()
        yield event
        waiting.extend(event.children)
