// Exits 0 when node_modules matches package-lock.json, by npm's own record of what it installed. Uses no
// packages, because the launcher runs it before any are installed. Usage: packages-fit.mjs ROOT prod|all
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [root = '.', wanted = 'all'] = process.argv.slice(2);

/** Maps package path to version for the packages that must be installed. */
function required(lock) {
  return Object.entries(lock.packages).filter(
    ([path, entry]) =>
      path !== '' &&
      // Optional packages are mostly builds for other platforms; npm skips those.
      !entry.optional &&
      !entry.devOptional &&
      (wanted === 'all' || !entry.dev),
  );
}

function isFit() {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const installed = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8'));
  return required(lock).every(([path, entry]) => {
    const there = installed.packages[path];
    return there?.version === entry.version && there.integrity === entry.integrity;
  });
}

try {
  process.exitCode = isFit() ? 0 : 1;
} catch {
  process.exitCode = 1;
}
