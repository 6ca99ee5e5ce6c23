/**
 * What is done after every test file. Several files may share a process and its modules (see `vm-tests.ts`), where
 * an `afterAll` at the top of a shared module would belong to the first file only.
 */
const endings = new Set<() => Promise<void>>();

/** Calls `end` after this test file and each later one of the process; it must bear being called twice. */
export function atEndOfEachFile(end: () => Promise<void>): void {
  endings.add(end);
}

export async function endFile(): Promise<void> {
  for (const end of endings) await end();
}
