/** Converts a route to a row and back, validating in both directions. */
import { z } from 'zod';
import type { Route } from '../core/routes/route.ts';
import { decodeBoolean, encodeBoolean, encodeTime, type RouteTable } from './schema.ts';
import { validate } from './validate.ts';

const route: z.ZodType<Route> = z.strictObject({
  id: z.string().min(1),
  tenant: z.string().min(1),
  machineId: z.string().min(1),
  subdomain: z.string().min(1).max(63),
  targetPort: z.int().min(1).max(65_535),
  autoWake: z.boolean(),
  secret: z.base64url().length(43).nullable(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** Raises InvariantError when the route is malformed. */
export function encodeRoute(value: Route): RouteTable {
  const checked = check(value);
  return {
    id: checked.id,
    tenant: checked.tenant,
    machine_id: checked.machineId,
    subdomain: checked.subdomain,
    target_port: checked.targetPort,
    auto_wake: encodeBoolean(checked.autoWake),
    secret: checked.secret,
    created_at: encodeTime(checked.createdAt),
    updated_at: encodeTime(checked.updatedAt),
  };
}

/** Raises InvariantError when this program could not have written the row. */
export function decodeRoute(row: RouteTable): Route {
  return check({
    id: row.id,
    tenant: row.tenant,
    machineId: row.machine_id,
    subdomain: row.subdomain,
    targetPort: row.target_port,
    autoWake: decodeBoolean(row.auto_wake),
    secret: row.secret,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  });
}

/** `value` may contain anything under the fields' names. */
function check(value: Readonly<Record<keyof Route, unknown>>): Route {
  return validate(route, value, `route ${String(value.id)}`);
}
