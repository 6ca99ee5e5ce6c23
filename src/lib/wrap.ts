/** Breaks text into lines for a terminal. */

/** The text in pieces of at most `room` characters, between words where that is possible. */
export function wrapped(text: string, room: number): readonly string[] {
  if (text.length <= room) return [text];
  const space = text.lastIndexOf(' ', room);
  const end = space > 0 ? space : room;
  return [text.slice(0, end), ...wrapped(text.slice(end).trimStart(), room)];
}
