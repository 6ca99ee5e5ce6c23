/** The image that requests to `/api/v1/images` are about. The images are fakes: no file of the host is looked at. */
import type { FakeFlotilla } from '../support/fake.ts';

export const imagesPath = '/api/v1/images';
export const subjectImageName = 'fuzzed';

/** Forgets every image that was imported, and imports one unless it is to be absent. */
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
