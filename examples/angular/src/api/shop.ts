/** What the shop sells, made up from the order's number, so that each run is the same. */

export interface Order {
  readonly id: number;
  readonly customer: string;
  readonly total: number;
  readonly lines: number;
}

export interface OrderLine {
  readonly line: number;
  readonly article: string;
  readonly quantity: number;
  readonly price: number;
}

/** Orders that there are: numbers 1 to 200. */
export const ORDERS = 200;

const customers = ['Amberg & Sons', 'Bright Bakery', 'Corner Books', 'Delta Tools', 'Elm Street Café'];
const articles = ['Desk lamp', 'Notebook', 'Kettle', 'Wall clock', 'Blanket', 'Bicycle bell', 'Plant pot'];

export function orderOf(id: number): Order {
  const lines = linesOf(id);
  const total = lines.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
  return { id, customer: customers[(id * 7) % customers.length] ?? '', total, lines: lines.length };
}

export function linesOf(id: number): OrderLine[] {
  return Array.from({ length: 2 + (id % 4) }, (_, i) => ({
    line: i + 1,
    article: articles[(id * 3 + i * 2) % articles.length] ?? '',
    quantity: 1 + ((id + i) % 3),
    price: 5 + ((id * 13 + i * 29) % 90),
  }));
}
