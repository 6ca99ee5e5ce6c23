/** Lists that come in pages. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** How many there are, on all pages. */
  readonly total: number;
}

const pageSize = 500;

/** What tells an item from the others. */
type Known = { readonly id: string } | { readonly name: string } | { readonly tenant: string };

/** Pages until everything, or `limit` of it, is there; what pages show twice counts once. */
export async function collect<Item extends Known>(
  limit: number,
  fetchPage: (query: { readonly limit: number; readonly offset: number }) => Promise<Page<Item>>,
): Promise<Page<Item>> {
  const found = new Map<string, Item>();
  for (let offset = 0; ; ) {
    const { items, total } = await fetchPage({ limit: Math.min(pageSize, limit - found.size), offset });
    for (const item of items) found.set(nameOf(item), item);
    offset += items.length;
    if (items.length === 0) return { items: [...found.values()], total: found.size };
    if (offset >= total || found.size >= limit) return { items: [...found.values()], total };
  }
}

function nameOf(item: Known): string {
  if ('id' in item) return item.id;
  return 'name' in item ? item.name : item.tenant;
}
