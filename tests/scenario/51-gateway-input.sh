# Bad input to a gateway alone: links, tickets, floods, broken messages.
: "${BUILDDIR:?run it through make check}"
exec "$BUILDDIR/tests/scenario/gateway_input"
