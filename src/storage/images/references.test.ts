import { describe, expect, it } from 'vitest';
import { namesOf } from './references.ts';

describe('what a reference means', () => {
  it.each([
    ['debian:12', ['debian-12']],
    ['docker.io/library/debian:12', ['debian-12']],
    ['index.docker.io/library/debian:12', ['debian-12']],
    ['library/debian:bookworm-slim', ['debian-bookworm-slim', 'debian-12']],
    ['debian', ['debian-12']],
    ['debian:latest', ['debian-latest', 'debian', 'debian-12']],
    ['app', []],
    ['busybox:latest', ['busybox-latest', 'busybox']],
    ['docker.io/busybox', ['busybox-latest', 'busybox']],
    ['Alpine:3.20', ['alpine-3.20']],
    ['team/app:1.2', ['team-app-1.2']],
    ['ghcr.io/team/app:1.2', ['ghcr.io-team-app-1.2']],
    ['localhost:5000/app', ['localhost-5000-app-latest', 'localhost-5000-app']],
    ['ubuntu:22.04', ['ubuntu-22.04']],
    [`debian@sha256:${'0'.repeat(64)}`, []],
  ])('%s', (reference, names) => {
    const found = namesOf(reference);
    expect(found.slice(0, names.length)).toEqual(names);
    // Beyond that only what is the same again.
    expect(found.slice(names.length).every((name) => names.includes(name))).toBe(true);
  });

  it('is never another distribution', () => {
    for (const reference of ['ubuntu:22.04', 'alpine:latest', 'debian:11', 'team/debian:12']) {
      expect(namesOf(reference)).not.toContain('debian-12');
    }
  });
});
