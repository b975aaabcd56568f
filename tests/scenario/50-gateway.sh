# Sessions through a gateway alone: relay, tickets, ends, policy, restarts.
: "${BUILDDIR:?run it through make check}"
exec "$BUILDDIR/tests/scenario/gateway_session"
