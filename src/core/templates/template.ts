/**
 * A template: what machines made from it have in common. A create request that names one takes from it what it does
 * not say itself.
 */
import type { CreateRequest } from '../machines/spec.ts';
import { joinUserData } from '../user-data/merge.ts';
import { parseUserData } from '../user-data/parse.ts';

export interface Template {
  readonly id: string;
  readonly tenant: string;
  /** Unique in its tenant. */
  readonly name: string;
  readonly description: string;
  /** The image's name as given; each machine gets the image that has it when the machine is created. */
  readonly image: string;
  /** User data as given; null: none. */
  readonly userData: string | null;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  /** Null: the host's default, or what the image needs if that is more. */
  readonly diskMib: number | null;
  /** RFC 3339, UTC, with `Z`. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** The request with the template's values where it has none of its own. User data of both is joined, the template's first. */
export function applyTemplate(request: CreateRequest, template: Template): CreateRequest {
  return {
    ...request,
    image: request.image ?? template.image,
    vcpuCount: request.vcpuCount ?? template.vcpuCount,
    memoryMib: request.memoryMib ?? template.memoryMib,
    diskMib: request.diskMib ?? template.diskMib ?? undefined,
    userData: joinUserData(
      template.userData === null ? null : parseUserData(template.userData),
      request.userData ?? null,
    ),
  };
}
