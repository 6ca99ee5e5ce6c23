/** Tables for people, as wide as their terminal. */
import { styleText } from 'node:util';
import { printable } from './output.ts';

export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly paint?: (text: string, row: Row) => string;
  /** Where the terminal is too narrow, the column with the highest number is left out first; absent: none. */
  readonly leftOut?: number;
  /** Its text may be cut to so many characters where the terminal is too narrow; absent: it may not. */
  readonly cutTo?: number;
}

const gap = 2;
/** Where columns are left that may neither be left out nor cut, they are cut to no fewer characters than this. */
const shortest = 8;

/**
 * Left-aligned columns, two spaces apart. Paint comes after alignment, so colours take no room. What is wider than `room`
 * loses columns first and then the ends of texts; `room` is infinite where nobody looks.
 */
export function table<Row>(all: readonly Column<Row>[], rows: readonly Row[], room = Infinity): string {
  const fitted = narrowed(
    all.map((column) => {
      const texts = rows.map((row) => printable(column.text(row)).replaceAll('\n', ' '));
      return { column, texts, width: Math.max(column.title.length, ...texts.map((text) => text.length)) };
    }),
    room,
  );
  const columns = fitted.map(({ column }) => column);
  const widths = fitted.map(({ width }) => width);
  const cells = rows.map((_, row) => fitted.map(({ texts, width }) => cut(texts[row] ?? '', width)));
  const pad = (text: string, index: number) =>
    index === columns.length - 1 ? text : text.padEnd((widths[index] ?? 0) + gap);
  const head = columns.map((column, index) => styleText('bold', pad(column.title, index))).join('');
  const body = rows.map((row, line) =>
    columns
      .map((column, index) => {
        const text = pad(cells[line]?.[index] ?? '', index);
        return column.paint === undefined ? text : column.paint(text, row);
      })
      .join(''),
  );
  return [head, ...body].map((line) => `${line}\n`).join('');
}

interface FittedColumn<Row> {
  readonly column: Column<Row>;
  readonly texts: readonly string[];
  readonly width: number;
}

function narrowed<Row>(columns: readonly FittedColumn<Row>[], room: number): readonly FittedColumn<Row>[] {
  const excess = columns.reduce((sum, { width }) => sum + width + gap, -gap) - room;
  if (excess <= 0) return columns;
  const isSpared = (each: FittedColumn<Row>) => each.column.leftOut !== undefined;
  const last = columns
    .filter(isSpared)
    .toSorted((a, b) => (b.column.leftOut ?? 0) - (a.column.leftOut ?? 0))[0];
  const shrunk = shrink(columns, excess, ({ column }) => column.cutTo ?? Infinity);
  if (shrunk !== null) return shrunk;
  if (last === undefined) return shrink(columns, excess, () => shortest) ?? columns;
  return narrowed(
    columns.filter((each) => each !== last),
    room,
  );
}

/** The columns with their texts cut by so much in all, the widest first; null when that is not enough. */
function shrink<Row>(
  columns: readonly FittedColumn<Row>[],
  excess: number,
  cutTo: (column: FittedColumn<Row>) => number,
): readonly FittedColumn<Row>[] | null {
  const widths = columns.map(({ width }) => width);
  for (let left = excess; left > 0; left--) {
    const candidates = columns.map((each, index) => {
      const width = widths[index] ?? 0;
      return width > cutTo(each) ? width : 0;
    });
    const widest = Math.max(...candidates);
    if (widest === 0) return null;
    widths[candidates.indexOf(widest)] = widest - 1;
  }
  return columns.map((each, index) => ({ ...each, width: widths[index] ?? each.width }));
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
