/** The completion script for fish 3 and newer. */
import type { CompletedOption, Place, Values } from './model.ts';

export function fishScript(places: readonly Place[]): string {
  const paths = places.map(({ path }) => quoted(path)).join(' ');
  const valued = places.flatMap(({ path, options }) =>
    options.flatMap(({ flags, values }) => (values === null ? [] : flags.map((flag) => `${path} ${flag}`))),
  );
  return `# Completion of flotilla for fish, made by: flotilla completion fish
function __flotilla_at
    set -l place
    set -l count 0
    set -l is_value 0
    set -g __flotilla_first ''
    for word in (commandline -opc)[2..-1]
        if test $is_value = 1
            set is_value 0
        else if test "$word" = --
            return 1
        else if string match -q -- '-*' $word
            if contains -- "$place $word" ${valued.map(quoted).join(' ')}
                set is_value 1
            end
        else if contains -- (string trim -- "$place $word") ${paths}
            set place (string trim -- "$place $word")
        else
            test $count = 0; and set -g __flotilla_first $word
            set count (math $count + 1)
        end
    end
    test "$place" = "$argv[1]"; or return 1
    set -q argv[2]; or return 0
    test $count -ge $argv[2] -a $count -le $argv[3]
end

function __flotilla_names
    set -l program (commandline -opc)[1]
    command $program completion --names $argv[1] --of "$__flotilla_first" 2>/dev/null </dev/null
end

complete -c flotilla -e
complete -c flotilla -f
${places.flatMap(linesOf).join('\n')}
`;
}

/** What counts as the last of repeated arguments. */
const manyArguments = 1_000_000;

function linesOf(place: Place): string[] {
  const here = `-n ${quoted(`__flotilla_at ${quoted(place.path)}`)}`;
  const first = `-n ${quoted(`__flotilla_at ${quoted(place.path)} 0 0`)}`;
  const commands = place.commands.map(
    ({ name, summary }) => `complete -c flotilla ${first} -a ${quoted(name)} -d ${quoted(summary)}`,
  );
  const options = place.options.map((option) => `complete -c flotilla ${here} ${optionWords(option)}`);
  const values = place.arguments.flatMap((argument, index) => {
    const words = argumentWords(argument);
    const isRepeated = place.isLastRepeated && index === place.arguments.length - 1;
    const condition = `__flotilla_at ${quoted(place.path)} ${index} ${isRepeated ? manyArguments : index}`;
    return words === '' ? [] : [`complete -c flotilla -n ${quoted(condition)} ${words}`];
  });
  return [...commands, ...options, ...values];
}

function optionWords({ flags, summary, values }: CompletedOption): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const value = values === null ? [] : [values.kind === 'files' ? '-r' : '-x', argumentWords(values)];
  return [...names, ...value, '-d', quoted(summary)].filter((word) => word !== '').join(' ');
}

function argumentWords(values: Values): string {
  if (values.kind === 'words') return `-a ${quoted(values.words.map(quoted).join(' '))}`;
  if (values.kind === 'names') return `-a ${quoted(`(__flotilla_names ${values.of})`)}`;
  return values.kind === 'files' ? '-F' : '';
}

/** One word for fish, where a backslash means something between single quotes. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
