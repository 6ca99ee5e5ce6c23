/** Checks the engines and the limits of machines by trying them. */
import type { EngineProbe } from '../../core/ports/engine.ts';
import { type Finding, fail, ok, warn } from '../../setup/doctor/finding.ts';

/** Judges one engine. Pure. */
export function checkEngine(
  kind: string,
  probe: EngineProbe,
  limitNotes: readonly string[],
): readonly Finding[] {
  const { isAvailable, accelerator, version, missing } = probe;
  const notes = probe.notes
    .filter((note) => !limitNotes.includes(note))
    .map((note) => warn(kind, note, hintOf(note, accelerator)));
  if (isAvailable) return [ok(kind, `version ${version}, accelerator ${accelerator}`), ...notes];
  const why = missing.length > 0 ? missing : ['it does not work on this host'];
  return [...why.map((text) => fail(kind, text, './flotilla setup')), ...notes];
}

/** Judges the limits on CPU time, memory and tasks. `notes`: what this host refuses. Pure. */
export function checkLimits(notes: readonly string[]): readonly Finding[] {
  if (notes.length === 0) return [ok('limits', 'control groups limit cpu, memory and pids of VMMs')];
  return notes.map((note) =>
    warn('limits', note, 'Machines run without it; run the daemon where it may write to /sys/fs/cgroup.'),
  );
}

function hintOf(note: string, accelerator: string | null): string | undefined {
  if (!note.startsWith('no KVM') || accelerator !== 'tcg') return undefined;
  return 'Machines run in software emulation, several times slower. KVM needs hardware or nested virtualisation that works, and a /dev/kvm that a group may open.';
}
