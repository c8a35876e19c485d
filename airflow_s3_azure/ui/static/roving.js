/** Many small links in a row as one stop of the Tab key: arrows, Home and End move among them. */
import { React } from "./host.js";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** `count` items, of which `start` takes the focus first: item(i) returns the props of the i-th. */
export function useRoving(count, start) {
  const [chosen, setChosen] = React.useState(null);
  const elements = React.useRef([]);
  const current = Math.min(chosen ?? start, count - 1);

  function onKeyDown(event) {
    let next;
    if (event.key in STEPS) next = Math.max(0, Math.min(count - 1, current + STEPS[event.key]));
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = count - 1;
    else return;
    event.preventDefault();
    setChosen(next);
    elements.current[next]?.focus();
  }

  return (at) => ({
    ref: (element) => {
      elements.current[at] = element;
    },
    tabIndex: at === current ? 0 : -1,
    onKeyDown,
    onFocus: () => setChosen(at),
  });
}
