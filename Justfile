# Run `just` for the list.
_list:
    @just --list

# Style, types, floors
check:
    uv run ruff format --check
    uv run ruff check
    uv run mypy
    uv run lint-imports

# The fast tests
test *arguments:
    uv run pytest {{arguments}}

# The documentation, built strictly
docs:
    uv run --group docs mkdocs build --strict
