/**
 * Whether the longest tests take a sample of their cases. `make check` sets `FLOTILLA_TESTS=quick` to stay
 * under its time; `make test`, and a test run by itself, try every case.
 */
export const isQuick = process.env.FLOTILLA_TESTS === 'quick';
