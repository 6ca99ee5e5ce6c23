/** Findings about whether the database belongs to the state directory, and about quarantined disks. Pure. */
import { decideIdentity, type IdentityFacts } from '../../core/hosts/identity.ts';
import { type Finding, fail, ok, warn } from '../../setup/doctor/finding.ts';
import type { QuarantinedDisk } from '../../storage/disks/quarantine.ts';

export function checkIdentity(facts: IdentityFacts): Finding {
  const decided = decideIdentity(facts);
  if (decided.verdict === 'refuse') return fail('database', decided.message, decided.hint);
  if (facts.epochInState === null) return ok('database', 'no daemon has noted yet that it belongs here');
  return ok('database', `belongs to this state directory, which has had ${facts.epochInState} daemons`);
}

export function checkQuarantine(disks: readonly QuarantinedDisk[]): readonly Finding[] {
  return disks.map(({ machineId, path, since }) =>
    warn(
      `disk ${machineId}`,
      `its machine is unknown; it was put aside on ${since.toISOString()}: ${path}`,
      'Move it back below disks/ when it is missed; ./flotilla gc removes it.',
    ),
  );
}
