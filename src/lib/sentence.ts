/**
 * How texts for people begin and end. Messages are written in lower case, because one may stand inside another; the edge that
 * shows one makes it a sentence. Shared by the daemon and the command line.
 */

/** Words that begin a sentence like any other, though `is` or `must` follows them as it follows the name of a field. */
const plainWords = 'there|it|this|that|what|which|who|nobody|nothing|everything|something|somebody';
const beginning = new RegExp(
  `^(?!flotilla |(?!(?:${plainWords})\\b)\\w+ (?:must|is|cannot)\\b)[a-z](?=[a-z]*[ ,;’'])`,
);

/**
 * Begins with a capital letter. A first word that is a name stays as it is: of a field, a file or a command.
 * Example: `the guest did not answer` becomes `The guest did not answer`; `limit must be at least 1` stays.
 */
export function sentence(text: string): string {
  return text.replace(beginning, (first) => first.toUpperCase());
}

/** The same for a text on a line of its own, such as `hint: …`, which has no full stop at its end. */
export function soleSentence(text: string): string {
  return sentence(text).replace(/(?<![.])\.$/, '');
}
