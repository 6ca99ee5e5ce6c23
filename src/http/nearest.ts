/** Which known name somebody may have meant by one that is not known. Pure. */

/** The nearest of `known`; null when none is near. */
export function nearest(name: string, known: readonly string[]): string | null {
  const given = name.toLowerCase();
  const ranked = known
    .map((each) => ({ each, edits: editsBetween(given, each) }))
    .filter(({ each, edits }) => edits <= Math.max(1, Math.floor(each.length / 3)) || isPartOf(given, each))
    .sort((one, other) => one.edits - other.edits);
  return ranked[0]?.each ?? null;
}

/** Whether one names a part of the other: `cpus` of `vcpu_count`, `memory` by the `mem` of `mem_size_mib`. */
function isPartOf(name: string, known: string): boolean {
  const stem = name.replace(/s$/, '');
  const words = known.split('_').filter((word) => word.length > 2);
  return (stem.length > 2 && known.includes(stem)) || words.some((word) => name.startsWith(word));
}

/** How many letters must be added, removed or replaced, or two neighbours exchanged. */
export function editsBetween(one: string, other: string): number {
  let before: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const isSame = one[i - 1] === other[j - 1];
      const isExchanged = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (isSame ? 0 : 1),
        isExchanged ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = row;
    row = next;
  }
  return row[other.length] ?? 0;
}
