/** Every wait and bound of the guest link that is a matter of time or of taste, in one place. */
export interface GuestTimings {
  /** Connecting to the carrier's socket; local, so it is there at once or not at all. */
  readonly dialMs: number;
  /**
   * Waiting for the answer to a preamble before dialling again; doubled each time up to `preambleMaxMs`. A guest that
   * boots answers late, and nothing is lost: QEMU reads the socket only when the guest has opened its port.
   */
  readonly preambleMs: number;
  readonly preambleMaxMs: number;
  /** Stale bytes skipped before the answer: a stopped guest's buffers hold far less. */
  readonly preambleDiscardBytesMax: number;
  /** Pause before dialling again; doubled each time up to `backoffMaxMs`, or `backoffWantedMaxMs` while a call waits. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly backoffWantedMaxMs: number;
  /** Pause after a session that was ended for a flood; doubled each time up to `floodPauseMaxMs`, whoever waits. */
  readonly floodPauseMs: number;
  readonly floodPauseMaxMs: number;
  /** A session that lasted this long lets the pauses begin small again. */
  readonly sessionStableMs: number;
  /** How often a guest is told the time while its link is up: its clock drifts, and this host may have slept. */
  readonly resyncIntervalMs: number;
  /** A call that finds the link down waits this long for it. */
  readonly linkWaitMs: number;
  /** From a call's request to its answer. */
  readonly callMs: number;
  /** Between pings; each wakes an idle guest. */
  readonly pingIntervalMs: number;
  /**
   * Silence after a ping that ends the session. Ending one kills the guest's running commands, so it is generous: a
   * loaded host must not look like a dead guest.
   */
  readonly pingDeadlineMs: number;
  /** A stream we closed and the guest did not is reset after this. */
  readonly closeLingerMs: number;
  /** After a command's own time limit, for the guest to say how it ended. */
  readonly execMarginMs: number;
  /** After that, a command whose output nobody reads is given up. */
  readonly execUnreadMs: number;
}

export const defaultTimings: GuestTimings = {
  dialMs: 2_000,
  preambleMs: 3_000,
  preambleMaxMs: 30_000,
  preambleDiscardBytesMax: 64 * 1024 * 1024,
  backoffMs: 10,
  backoffMaxMs: 2_000,
  backoffWantedMaxMs: 100,
  floodPauseMs: 30_000,
  floodPauseMaxMs: 600_000,
  sessionStableMs: 5_000,
  resyncIntervalMs: 600_000,
  linkWaitMs: 15_000,
  callMs: 15_000,
  pingIntervalMs: 5_000,
  pingDeadlineMs: 15_000,
  closeLingerMs: 5_000,
  execMarginMs: 5_000,
  execUnreadMs: 60_000,
};
