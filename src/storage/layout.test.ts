/** No name leads out of its directory, and no two names share a file. */

import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyCharacter } from '../../test/support/characters.ts';
import { isImageName } from '../core/images/names.ts';
import { CacheLayout, imageFileName, imageNameOf, StateLayout } from './layout.ts';

const state = new StateLayout('/state');

const piece = fc.constantFrom(
  'a',
  'B',
  '0',
  '.',
  '..',
  '/',
  ':',
  '-',
  '_',
  '+',
  '=',
  '%2f',
  '\\',
  '\0',
  'ä',
  ' ',
);
const text = fc.oneof(
  fc.string({ unit: anyCharacter }),
  fc.array(piece, { maxLength: 12 }).map((all) => all.join('')),
);

test('an image’s name is a file in the directory of its tenant, or refused', () => {
  fc.assert(
    fc.property(text, (name) => {
      if (!isImageName(name)) {
        expect(() => imageFileName(name)).toThrow('not an image name');
        expect(() => state.imageName(name, 'one')).toThrow('not an image name');
        return;
      }
      const path = state.imageName(name, 'one');
      expect(join(path)).toBe(path);
      expect(dirname(path)).toBe('/state/images/tenants/one');
      expect(dirname(new CacheLayout('/cache').image(name))).toBe('/cache/images');
      expect(imageNameOf(imageFileName(name))).toBe(name);
    }),
    { numRuns: 1000 },
  );
});

test.each(['a/b', 'a:b', '../a', 'a..b', '', '.json', 'A'])('the file %j is no image’s', (file) => {
  expect(imageNameOf(file)).toBeNull();
});

test('the longest name fits in a file name', () => {
  const name = `${'a/'.repeat(119)}a`;
  expect(isImageName(`${name}a`)).toBe(true);
  expect(isImageName(`${name}aaaaaaaaaaa`)).toBe(false);
  expect(Buffer.byteLength(`${imageFileName(`${name}a`)}.json`)).toBeLessThanOrEqual(255);
});
