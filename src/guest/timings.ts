/** All timeouts and limits of the guest link that can be tuned. */
export interface GuestTimings {
  /** Limit for connecting to the carrier's local socket. */
  readonly dialMs: number;
  /**
   * How long to wait for the answer to a preamble before redialling; doubled each time up to `preambleMaxMs`.
   * A booting guest answers late, and nothing is lost: QEMU reads the socket only when the guest has opened
   * its port.
   */
  readonly preambleMs: number;
  readonly preambleMaxMs: number;
  /** Limit of stale bytes before the answer: a stopped guest's buffers hold far less. */
  readonly preambleDiscardBytesMax: number;
  /**
   * Delay before redialling; doubled each time up to `backoffMaxMs`, or `backoffWantedMaxMs` while a call
   * waits.
   */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly backoffWantedMaxMs: number;
  /**
   * Delay after a session that was ended for a flood; doubled each time up to `floodPauseMaxMs`, even if a
   * call waits.
   */
  readonly floodPauseMs: number;
  readonly floodPauseMaxMs: number;
  /** A session that lasted this long resets the delays. */
  readonly sessionStableMs: number;
  /** Interval for setting a connected guest's clock: it drifts, and this host may have been suspended. */
  readonly resyncIntervalMs: number;
  /** How long a call waits for a link that is down. */
  readonly linkWaitMs: number;
  /** Limit from a call's request to its answer. */
  readonly callMs: number;
  /** Limit of `adopt`; the agent itself waits 20 s for SSH host keys. */
  readonly adoptMs: number;
  /** How long a transfer of files may stand still because of the guest; it may last as long as it moves. */
  readonly fileIdleMs: number;
  /** Interval between pings; each wakes an idle guest. */
  readonly pingIntervalMs: number;
  /**
   * How much silence after a ping ends the session. Generous, because ending a session kills the guest's
   * running commands, and a loaded host must not look like a dead guest.
   */
  readonly pingDeadlineMs: number;
  /** Limit of carrying out user data, also while the guest is paused; the agent's own limit is an hour. */
  readonly provisionMs: number;
  /** A stream that we closed but the guest did not is reset after this. */
  readonly closeLingerMs: number;
  /**
   * After a command's own time limit, how long the guest may take to report the outcome. As long as the answer to
   * a ping: a slow guest needs many seconds to end thousands of processes.
   */
  readonly execMarginMs: number;
  /** After that, how long until a command with unread output is given up. */
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
  adoptMs: 45_000,
  fileIdleMs: 120_000,
  pingIntervalMs: 5_000,
  pingDeadlineMs: 15_000,
  provisionMs: 86_400_000,
  closeLingerMs: 5_000,
  execMarginMs: 15_000,
  execUnreadMs: 60_000,
};
