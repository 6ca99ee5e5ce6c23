/** A route: a name in the reverse proxy's domain that leads to a port of a machine. */
export interface Route {
  readonly id: string;
  readonly tenant: string;
  readonly machineId: string;
  /** Unique in the fleet. */
  readonly subdomain: string;
  readonly targetPort: number;
  /** Whether a request wakes the machine; the machine's own setting can forbid it as well. */
  readonly autoWake: boolean;
  /** Signs the tokens that open a private route: 32 bytes in base64url. Null: the route is public. */
  readonly secret: string | null;
  /** RFC 3339, UTC, with `Z`. */
  readonly createdAt: string;
  readonly updatedAt: string;
}
