/** What is configured about one machine on a bridge of the operator, as elements of the sets of `tables.ts`. Pure. */
import { AppError } from '../../core/errors.ts';
import type { LanAttachment } from '../../core/ports/network.ts';
import { familyOf } from '../addresses.ts';
import { lanTapName } from '../names.ts';
import { allowedBoxes, boxText, type Element } from '../rules/elements.ts';

/** `group` is the number of the machine's group. */
export function lanElementsOf(
  { machineId, bridge, mac, fixed, egress }: LanAttachment,
  group: number | null,
): readonly Element[] {
  const tap = `"${lanTapName(machineId)}"`;
  const element = (set: string, key: string, data: string | null = null): Element => ({
    table: 'bridge',
    set,
    key,
    data,
  });
  return [
    element('taps', tap),
    element('macs', `${tap} . ${mac}`),
    fixed === null
      ? element('clients', `${tap} . 0x${mac.replaceAll(':', '')}`)
      : element('bound', `${tap} . ${mac} . ${fixed.address}`),
    ...(egress.kind === 'allow' ? [element('free', tap)] : []),
    ...allowedBoxes(egress, 4).map((box) => element('allowed', `${tap} . ${boxText(box, 4)}`)),
    ...(group === null
      ? []
      : [element('groups', tap, String(group)), element('members', `${tap} . ${group}`)]),
    { table: 'inet', set: 'places', key: `"${bridge}" . ${mac}`, data: null },
  ];
}

/** Raises `invalid` for what is no address: nft would ask the host's name server for it. */
export function checkLanAttachment({ mac, fixed }: LanAttachment): void {
  if (macPattern.test(mac) && (fixed === null || familyOf(fixed.address) === 4)) return;
  throw new AppError('invalid', `not addresses of a machine: ${[mac, fixed?.address].join(' ')}`);
}

const macPattern = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
