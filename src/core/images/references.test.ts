/** What references mean: which names are looked for, in which order, and what is said about the result. */

import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { anyCharacter } from '../../../test/support/characters.ts';
import { parseAliases } from './aliases.ts';
import { isImageName } from './names.ts';
import { imageNote, namesOf, spelledNames } from './references.ts';

/** The first of the names that this host has. */
const meaning = (reference: string, there: readonly string[], aliases = '') =>
  namesOf(reference, { aliases: parseAliases(aliases), defaultImage: 'own' }).find((name) =>
    there.includes(name),
  ) ?? null;
const usual = ['busybox', 'debian-12', 'own'];

describe('a reference', () => {
  it.each([
    ['debian-12', 'debian-12'],
    ['debian:12', 'debian-12'],
    ['docker.io/library/debian:12', 'debian-12'],
    ['index.docker.io/library/debian:bookworm-slim', 'debian-12'],
    ['busybox:latest', 'busybox'],
    ['docker.io/busybox', 'busybox'],
  ])('%s spells %s', (reference, name) => {
    expect(meaning(reference, usual)).toBe(name);
    expect(spelledNames(reference)).toContain(name);
  });

  it.each([
    ['alpine:latest', 'alpine'],
    ['alpine', 'alpine:latest'],
    ['docker.io/library/alpine:3.20', 'alpine:3.20'],
    ['alpine:3.20', 'docker.io/library/alpine:3.20'],
    ['Alpine:3.20', 'alpine-3.20'],
    ['team/app:1.2', 'team-app-1.2'],
    ['docker.io/team/app:1.2', 'team/app:1.2'],
    ['ghcr.io/team/app:1.2', 'ghcr.io-team-app-1.2'],
    ['ghcr.io/team/app', 'ghcr.io/team/app:latest'],
    ['localhost:5000/app', 'localhost-5000-app'],
    ['ubuntu:22.04', 'ubuntu-22.04'],
    ['app:1-RC2', 'app:1-RC2'],
  ])('%s is %s before any alias', (reference, name) => {
    expect(meaning(reference, [name, ...usual])).toBe(name);
    expect(isImageName(name)).toBe(true);
  });

  it.each([
    ...[
      'alpine',
      'alpine:latest',
      'alpine:3.20',
      'docker.io/library/alpine:3.20',
      'alpine-cloud',
      'fc-alpine',
    ],
    ...['ubuntu', 'ubuntu-22.04', 'ubuntu:24.04', 'ubuntu-cloud', 'debian-cloud', 'debian:11', 'img_default'],
  ])('%s means the nearest image there is', (reference) => {
    expect(meaning(reference, usual)).toBe('debian-12');
    expect(meaning(reference, ['busybox', 'own'])).toBe('busybox');
    expect(meaning(reference, ['own'])).toBe('own');
    expect(meaning(reference, [])).toBeNull();
  });

  it.each([
    'nginx:latest',
    'debian-99',
    'team/debian:12',
    'ghcr.io/alpine',
    `debian@sha256:${'0'.repeat(64)}`,
  ])('%s means no other image', (reference) => expect(meaning(reference, usual)).toBeNull());
});

describe('the operator’s aliases', () => {
  it.each([
    ['alpine:latest', 'alpine:latest=busybox', 'busybox'],
    ['alpine', 'alpine:latest=busybox', 'busybox'],
    ['docker.io/library/alpine:latest', 'alpine=busybox', 'busybox'],
    ['ubuntu-22.04', 'ubuntu-*=busybox', 'busybox'],
    ['nginx:1.27', 'redis:*=own, nginx:*=busybox', 'busybox'],
    ['nginx:1.27', 'nginx:1.27=own,nginx:*=busybox', 'own'],
    ['anything/at:all', '*=busybox', null],
    ['alpine:3.19', 'alpine:3.20=busybox', 'debian-12'],
    ['debian:12', 'debian:12=busybox', 'busybox'],
  ])('%s with %s', (reference, table, name) => {
    if (name === null) expect(() => parseAliases(table)).toThrow(table);
    else expect(meaning(reference, usual, table)).toBe(name);
  });

  it('give way to an image of that name, and allow no other when their own is missing', () => {
    expect(meaning('alpine:latest', ['alpine:latest', ...usual], 'alpine:latest=busybox')).toBe(
      'alpine:latest',
    );
    expect(meaning('alpine:latest', usual, 'alpine:latest=gone')).toBeNull();
  });

  it.each(['alpine', 'alpine=', '=busybox', 'a=b=c', 'a b=c', 'a=../b', 'a=B', 'a*b=c', 'a=b,a=c', 'a=b,x'])(
    'are refused with the entry: %s',
    (text) => {
      const entry = text.split(',').at(-1) ?? '';
      expect(() => parseAliases(text)).toThrow(`not an alias: '${entry}'`);
    },
  );

  it('may be empty', () => {
    expect(parseAliases(' , ')).toEqual([]);
  });
});

test('a note says how the image differs from what was requested', () => {
  expect(imageNote('debian-12', 'debian-12')).toBeNull();
  expect(imageNote('debian:12', 'debian-12')).toBe('`debian:12` names the image debian-12 of this host');
  expect(imageNote('alpine:latest', 'debian-12')).toBe(
    '`alpine:latest` is not an image of this host; an alias maps it to debian-12',
  );
});

test('any text is a reference, which is looked for first', () => {
  const piece = fc.constantFrom(
    'a',
    '.',
    '..',
    '/',
    ':',
    '@',
    '-',
    '*',
    'latest',
    'docker.io',
    'library',
    'ubuntu',
  );
  const text = fc.oneof(
    fc.string({ unit: anyCharacter }),
    fc.array(piece).map((pieces) => pieces.join('')),
  );
  const aliases = parseAliases('a*=busybox,docker.io/a=own');
  fc.assert(
    fc.property(text, (reference) => {
      const names = namesOf(reference, { aliases, defaultImage: 'own' });
      expect(names[0]).toBe(reference);
      expect(names.length).toBeLessThan(20);
      expect(new Set(names).size).toBe(names.length);
      expect(imageNote(reference, 'debian-12') === null).toBe(reference === 'debian-12');
    }),
  );
});
