/** The completion script for bash 4 and newer. */
import type { CompletedOption, Place, Values } from './model.ts';
import { quoted, valueWords } from './quoting.ts';

export function bashScript(places: readonly Place[]): string {
  return `# Completion of flotilla for bash, made by: flotilla completion bash
_flotilla_place() {
  commands='' options='' rest='' arguments=()
  case $place in
${places.map(placeCase).join('\n')}
  esac
}

_flotilla_value() {
  case $place\\ $word in
${places.flatMap((place) => place.options.flatMap((option) => valueCase(place, option))).join('\n')}
  esac
}

_flotilla_offer() {
  local -a offered=()
  case $value in
    files) compopt -o default 2>/dev/null ;;
    names\\ *)
      while IFS= read -r word; do offered+=("$word"); done < <(
        "\${COMP_WORDS[0]}" completion --names "\${value#names }" --of "$first" 2>/dev/null </dev/null
      )
      ;;
    words\\ *) read -ra offered <<<"\${value#words }" ;;
  esac
  for word in "\${offered[@]}"; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
  # A colon ends a word for bash: what stands before it is not to be replaced.
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    word=\${current%"\${current##*:}"}
    COMPREPLY=("\${COMPREPLY[@]#"$word"}")
  fi
}

_flotilla() {
  local place='' value='' rest='' commands='' options='' word='' current='' first='' count=0 i
  local -a arguments=() typed=()
  COMPREPLY=()
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if ((\${#typed[@]} > 0)) && [[ $word == : || \${typed[\${#typed[@]} - 1]} == *: ]]; then
      typed[\${#typed[@]} - 1]+=$word
    else
      typed+=("$word")
    fi
  done
  current=\${typed[\${#typed[@]} - 1]}
  [[ $current == = ]] && current=''
  _flotilla_place
  for ((i = 0; i < \${#typed[@]} - 1; i++)); do
    word=\${typed[i]}
    [[ $word == = ]] && continue
    if [[ -n $value ]]; then
      value=''
      continue
    fi
    case $word in
      --) return 0 ;;
      -*) _flotilla_value ;;
      *)
        if [[ " $commands " == *" $word "* ]]; then
          place=\${place:+$place }$word
          _flotilla_place
        else
          ((count == 0)) && first=$word
          count=$((count + 1))
        fi
        ;;
    esac
  done
  if [[ -z $value ]]; then
    if [[ $current == -* ]]; then
      value="words $options"
    else
      if [[ -n $commands ]] && ((count == 0)); then
        value="words $commands"
        _flotilla_offer
      fi
      value=\${arguments[count]:-$rest}
    fi
  fi
  _flotilla_offer
}

complete -F _flotilla flotilla
`;
}

function placeCase(place: Place): string {
  const parts = [
    `commands=${quoted(place.commands.map(({ name }) => name).join(' '))}`,
    `options=${quoted(place.options.flatMap(({ flags }) => flags).join(' '))}`,
    `arguments=(${place.arguments.map((values) => quoted(valueWords(values))).join(' ')})`,
    `rest=${quoted(valueWords(restOf(place)))}`,
  ];
  return `    ${quoted(place.path)})\n${parts.map((part) => `      ${part}\n`).join('')}      ;;`;
}

function restOf({ arguments: all, isLastRepeated }: Place): Values {
  return (isLastRepeated ? all.at(-1) : undefined) ?? { kind: 'free' };
}

function valueCase(place: Place, { flags, values }: CompletedOption): string[] {
  if (values === null) return [];
  const patterns = flags.map((flag) => quoted(`${place.path} ${flag}`)).join(' | ');
  return [`    ${patterns}) value=${quoted(valueWords(values))} ;;`];
}
