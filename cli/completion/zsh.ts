/** The completion script for zsh. */
import type { CompletedOption, Place } from './model.ts';
import { quoted, valueWords } from './quoting.ts';

export function zshScript(places: readonly Place[]): string {
  return `#compdef flotilla
# Completion of flotilla for zsh, made by: flotilla completion zsh
_flotilla_place() {
  subcommands=() flags=() wanted=() rest=free
  case $place in
${places.map(placeCase).join('\n')}
  esac
}

_flotilla_value() {
  case "$place $1" in
${places.flatMap((place) => place.options.flatMap((option) => valueCase(place, option))).join('\n')}
  esac
}

_flotilla_offer() {
  local -a offered
  case $value in
    (files) _files ;;
    (names*)
      offered=(\${(f)"$("\${(Q)words[1]}" completion --names \${value#names } --of "$first" 2>/dev/null </dev/null)"})
      compadd -- $offered
      ;;
    (words*)
      offered=(\${=value#words })
      compadd -- $offered
      ;;
  esac
}

_flotilla() {
  local place='' value='' rest='' first='' word
  local -i count=0 i
  local -a subcommands flags wanted
  _flotilla_place
  for ((i = 2; i < CURRENT; i++)); do
    word=\${(Q)words[i]}
    if [[ -n $value ]]; then
      value=''
    elif [[ $word == -- ]]; then
      return 0
    elif [[ $word == -* ]]; then
      _flotilla_value $word
    elif (( \${subcommands[(I)\${word}:*]} )); then
      place=\${place:+$place }$word
      _flotilla_place
    else
      (( count == 0 )) && first=$word
      count+=1
    fi
  done
  if [[ -n $value ]]; then
    _flotilla_offer
  elif [[ \${words[CURRENT]} == -* ]]; then
    _describe -o option flags
  else
    if (( \${#subcommands} && count == 0 )); then
      _describe command subcommands
    fi
    value=\${wanted[count + 1]:-$rest}
    _flotilla_offer
  fi
}

if [[ \${funcstack[1]-} == _flotilla ]]; then
  _flotilla "$@"
else
  compdef _flotilla flotilla
fi
`;
}

function placeCase(place: Place): string {
  const commands = place.commands.map(({ name, summary }) => described(name, summary));
  const flags = place.options.flatMap((option) =>
    option.flags.map((flag) => described(flag, option.summary)),
  );
  const last = place.isLastRepeated ? place.arguments.at(-1) : undefined;
  const parts = [
    `subcommands=(${commands.join(' ')})`,
    `flags=(${flags.join(' ')})`,
    `wanted=(${place.arguments.map((values) => quoted(valueWords(values))).join(' ')})`,
    `rest=${quoted(valueWords(last ?? { kind: 'free' }))}`,
  ];
  return `    (${quoted(place.path)})\n${parts.map((part) => `      ${part}\n`).join('')}      ;;`;
}

/** No name of ours has a colon; what follows the first one is the description. */
function described(name: string, summary: string): string {
  return quoted(`${name}:${summary}`);
}

function valueCase(place: Place, { flags, values }: CompletedOption): string[] {
  if (values === null) return [];
  const patterns = flags.map((flag) => quoted(`${place.path} ${flag}`)).join('|');
  return [`    (${patterns}) value=${quoted(valueWords(values))} ;;`];
}
