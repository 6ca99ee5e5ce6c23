/**
 * Provides the image for requests to `/api/v1/images`. The images are fakes, so no file of the host is read.
 */
import type { FakeFlotilla } from '../support/fake.ts';

export const imagesPath = '/api/v1/images';
export const subjectImageName = 'fuzzed';

/** Removes all imported images, and imports one unless it should be absent. */
export async function arrangeImage(
  { images }: FakeFlotilla,
  situation: 'absent' | 'own' | 'shared',
): Promise<void> {
  for (const image of await images.list('default')) if (!image.isBuiltIn) await images.remove(image);
  if (situation === 'absent') return;
  const source = { kind: 'directory', path: '/nowhere' } as const;
  const request = {
    ...{ tenant: situation === 'own' ? 'default' : null, name: subjectImageName },
    ...{ kernel: 'host' as const, memoryMibMin: 96, source },
  };
  await images.build('arranged', request, new AbortController().signal);
  await images.publish('arranged', request);
  await images.discard('arranged');
}
