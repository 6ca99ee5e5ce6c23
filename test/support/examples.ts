/** The examples of a page in Markdown: its fenced blocks of code, with the heading that each is below. */
import { readFile } from 'node:fs/promises';

export interface Example {
  readonly heading: string;
  readonly language: string;
  readonly code: string;
}

/** In the order of the page. `path`: of the file. */
export async function readExamples(path: string): Promise<readonly Example[]> {
  const page = await readFile(path, 'utf8');
  return page.split(/^## /m).flatMap((section) =>
    [...section.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({
      ...{ heading: section.split('\n')[0] ?? '', language, code },
    })),
  );
}
