/** Formats the report as text; programs read the object itself. */
import { styleText } from 'node:util';
import { soleSentence } from '../../lib/sentence.ts';
import { wrapped } from '../../lib/wrap.ts';
import type { Finding, Level } from './finding.ts';

export interface Report {
  /** Whether there is no error in it. */
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
/** A longer subject only shifts its own message. */
const subjectWidthMax = 24;
/** On a narrower terminal lines are broken by the terminal itself. */
const roomMin = 16;

/** Combines the sections; in each, problems come first. */
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

export type ReportOutput = NodeJS.WritableStream & { readonly columns?: number };

/** The report as text, wrapped to a terminal's width. Colours only if `output` supports them and NO_COLOR is not set. */
export function renderReport(report: Report, output: ReportOutput): string {
  const names = Object.keys(titles) as (keyof Sections)[];
  const all = names.flatMap((name) => report[name]);
  const width = Math.min(subjectWidthMax, Math.max(...all.map(({ subject }) => subject.length), 0));
  const sections = names.map((name) => {
    const title = styleText('bold', titles[name], { stream: output });
    return [title, ...report[name].flatMap((finding) => renderFinding(finding, width, output)), ''];
  });
  return [...sections.flat(), summary(all), ''].join('\n');
}

function renderFinding(finding: Finding, width: number, output: ReportOutput): readonly string[] {
  const { level, subject, message, hint } = finding;
  const mark = styleText(colours[level], level.padEnd(levelWidth), { stream: output });
  const indent = levelWidth + width + 6;
  const room = Math.max((output.columns || Infinity) - indent, roomMin);
  const [first = '', ...rest] = wrapped(soleSentence(clean(message)), room);
  const hints = hint === undefined ? [] : wrapped(`→ ${soleSentence(clean(hint))}`, room);
  return [
    `  ${mark}  ${clean(subject).padEnd(width)}  ${first}`,
    ...[...rest, ...hints].map((line) => `${' '.repeat(indent)}${line}`),
  ];
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

/** File names and program output may contain escape sequences, which must not reach a terminal. */
function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').trim();
}
