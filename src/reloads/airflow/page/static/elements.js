// What every view is made of: React's and Chakra's parts, as the host offers them, and small elements of ours.
// Children are text or elements, never markup: what people wrote cannot become a part of the page.

export const {
  createElement: h,
  Fragment,
  memo,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} = globalThis.React;
const {
  Alert,
  Badge,
  Button: ChakraButton,
  Heading: ChakraHeading,
  Input,
  NativeSelect,
  Spinner,
} = globalThis.ChakraUI;

export const Button = (props) => h(ChakraButton, { size: "sm", variant: "outline", ...props });

export const Primary = (props) => h(ChakraButton, { size: "sm", colorPalette: "brand", ...props });

/** A heading: `level` is its place in the outline, the size follows. */
export const Heading = ({ level, children, ...rest }) =>
  h(ChakraHeading, { as: `h${level}`, size: { 1: "xl", 2: "lg", 3: "md" }[level] ?? "sm", ...rest }, children);

/** A part of a view, named for those who jump from part to part. */
export function Section({ title, level = 2, className = "", children, ...rest }) {
  const id = useId();
  return h(
    "section",
    { className: `rl-section ${className}`, "aria-labelledby": id, ...rest },
    h(Heading, { level, id }, title),
    children,
  );
}

/** A sentence in a box: `error` interrupts a screen reader, the others do not. */
export const Note = ({ status = "info", title, children }) =>
  h(
    Alert.Root,
    { status, role: status === "error" ? "alert" : "note", className: "rl-note" },
    h(Alert.Indicator),
    h(
      Alert.Content,
      null,
      title && h(Alert.Title, null, title),
      h(Alert.Description, { className: "rl-words" }, children),
    ),
  );

/** What came of a button that may be gone by now: it takes the focus, which would be lost, and so is read out. */
export function Outcome({ status, title, children }) {
  const box = useRef(null);
  useEffect(() => box.current.focus(), []);
  return h("div", { ref: box, tabIndex: -1 }, h(Note, { status, title }, children));
}

export const Loading = ({ what }) =>
  h(
    "p",
    { className: "rl-muted", role: "status" },
    h(Spinner, { size: "xs", "aria-hidden": true }),
    ` Loading ${what} …`,
  );

export const Tag = ({ colour = "gray", children }) => h(Badge, { colorPalette: colour, variant: "surface" }, children);

/** A labelled control; `control` gets the id that its label names. */
export function Labelled({ label, help, error, control, className = "" }) {
  const id = useId();
  const describedBy = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  return h(
    "div",
    { className: `rl-field ${className}` },
    h("label", { htmlFor: id }, label),
    control({ id, "aria-describedby": describedBy, "aria-invalid": error ? true : undefined }),
    help && h("p", { id: `${id}-help`, className: "rl-help" }, help),
    error && h("p", { id: `${id}-error`, className: "rl-fault", role: "alert" }, error),
  );
}

export const TextField = ({ label, help, error, value, onChange, className, ...rest }) =>
  h(Labelled, {
    label,
    help,
    error,
    className,
    control: (named) =>
      h(Input, {
        size: "sm",
        autoComplete: "off",
        value,
        onChange: (event) => onChange(event.target.value),
        ...named,
        ...rest,
      }),
  });

/** A select; `options` are texts or pairs of value and text. */
export const Choice = ({ label, value, options, onChange, className }) =>
  h(Labelled, {
    label,
    className,
    control: (named) =>
      h(
        NativeSelect.Root,
        { size: "sm" },
        h(
          NativeSelect.Field,
          { value, onChange: (event) => onChange(event.target.value), ...named },
          options.map((option) => {
            const [code, text] = Array.isArray(option) ? option : [option, option];
            return h("option", { key: code, value: code }, text);
          }),
        ),
        h(NativeSelect.Indicator),
      ),
  });

export const Tick = ({ label, checked, onChange, ...rest }) =>
  h(
    "label",
    { className: "rl-tick" },
    h("input", { type: "checkbox", checked, onChange: (event) => onChange(event.target.checked), ...rest }),
    " ",
    label,
  );

/** Pairs of a name and a value; pairs without a value are left out. */
export const Facts = ({ pairs }) =>
  h(
    "dl",
    { className: "rl-facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", { className: "rl-words" }, value))),
  );

/** A bar that says how much is done, in words too. */
export const Progress = ({ done, all, label }) =>
  h(
    "div",
    { className: "rl-progress" },
    h("progress", { value: done, max: Math.max(all, 1), "aria-label": label }),
    h("span", { className: "rl-muted" }, label),
  );

/** Texts or elements in one line, with a word between them. */
export const joined = (parts, between = ", ") =>
  parts.flatMap((part, number) =>
    number ? [between, h(Fragment, { key: number }, part)] : [h(Fragment, { key: 0 }, part)],
  );
