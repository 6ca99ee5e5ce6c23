/** The report as people read it; as programs read it, it is the object itself. */
import { styleText } from 'node:util';
import type { Finding, Level } from './finding.ts';

export interface Report {
  /** Nothing in it is an error. */
  readonly ok: boolean;
  readonly host: readonly Finding[];
  readonly engines: readonly Finding[];
  readonly daemon: readonly Finding[];
  readonly state: readonly Finding[];
}

type Sections = Omit<Report, 'ok'>;

const titles: Readonly<Record<keyof Sections, string>> = {
  host: 'Host',
  engines: 'Engines',
  daemon: 'Daemon',
  state: 'State',
};
const colours = { ok: 'green', warn: 'yellow', error: 'red' } as const;
const levelWidth = 5;
/** Longer subjects push their own message aside only. */
const subjectWidthMax = 24;

/** Puts the sections together; within one, what needs a person comes first. */
export function makeReport(sections: Sections): Report {
  const all = Object.values(sections).flat();
  return {
    ok: all.every(({ level }) => level !== 'error'),
    host: worstFirst(sections.host),
    engines: worstFirst(sections.engines),
    daemon: worstFirst(sections.daemon),
    state: worstFirst(sections.state),
  };
}

/** The report as text. Colours only where `output` shows them and NO_COLOR does not forbid it. */
export function renderReport(report: Report, output: NodeJS.WritableStream): string {
  const names = Object.keys(titles) as (keyof Sections)[];
  const all = names.flatMap((name) => report[name]);
  const width = Math.min(subjectWidthMax, Math.max(...all.map(({ subject }) => subject.length), 0));
  const sections = names.map((name) => {
    const title = styleText('bold', titles[name], { stream: output });
    return [title, ...report[name].flatMap((finding) => renderFinding(finding, width, output)), ''];
  });
  return [...sections.flat(), summary(all), ''].join('\n');
}

function renderFinding(finding: Finding, width: number, output: NodeJS.WritableStream): readonly string[] {
  const { level, subject, message, hint } = finding;
  const mark = styleText(colours[level], level.padEnd(levelWidth), { stream: output });
  const first = `  ${mark}  ${clean(subject).padEnd(width)}  ${clean(message)}`;
  return hint === undefined ? [first] : [first, `${' '.repeat(levelWidth + width + 6)}→ ${clean(hint)}`];
}

function summary(all: readonly Finding[]): string {
  const count = (wanted: Level) => all.filter(({ level }) => level === wanted).length;
  const plural = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;
  const [errors, warnings] = [count('error'), count('warn')];
  if (errors === 0 && warnings === 0) return 'All is well.';
  return `${plural(errors, 'error')}, ${plural(warnings, 'warning')}.`;
}

function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  const order: readonly Level[] = ['error', 'warn', 'ok'];
  return order.flatMap((wanted) => findings.filter(({ level }) => level === wanted));
}

/** File names and what programs said may hold escape sequences; they must not reach a terminal. */
function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}
