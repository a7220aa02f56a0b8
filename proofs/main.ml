(* Reads plain forms of artifacts, programs and pairs from the standard input and has the extracted functions judge them.
   docs/explanation/machine_checked.md describes the format; benchmarks/plain_form.py writes it. *)
open Checker

let ten = Zpos (XO (XI (XO XH)))

let rec positive n = if n = 1 then XH else if n land 1 = 0 then XO (positive (n lsr 1)) else XI (positive (n lsr 1))
let small n = if n = 0 then Z0 else if n > 0 then Zpos (positive n) else Zneg (positive (-n))

let number text =
  if String.length text < 18 then small (int_of_string text)
  else
    let is_negative = text.[0] = '-' in
    let size = ref Z0 in
    String.iteri (fun i c -> if not (i = 0 && is_negative) then size := Z.add (Z.mul !size ten) (small (Char.code c - 48))) text;
    if is_negative then Z.opp !size else !size

let rec digits z = match z with
  | Z0 -> ""
  | _ -> let quotient, digit = Z.div_eucl z ten in
    let digit = match digit with Z0 -> 0 | Zpos p -> let rec value = function XH -> 1 | XO p -> 2 * value p | XI p -> 2 * value p + 1 in value p | Zneg _ -> 0 in
    digits quotient ^ string_of_int digit
let shown z = match z with Z0 -> "0" | Zpos _ -> digits z | Zneg p -> "-" ^ digits (Zpos p)

let rec nat n = if n = 0 then O else S (nat (n - 1))
let count text = nat (int_of_string text)
let rec int_of_nat = function O -> 0 | S n -> 1 + int_of_nat n

let operand word = let rest = String.sub word 1 (String.length word - 1) in
  if word.[0] = 'v' then Value (count rest) else Number (number rest)

let tables : (string, z list) Hashtbl.t = Hashtbl.create 16

let instruction words = match words with
  | "do" :: name :: words ->
    let o = operand in
    Do (match name, words with
      | "add", [a; b] -> Add (o a, o b) | "sub", [a; b] -> Sub (o a, o b)
      | "neg", [a] -> Neg (o a) | "abs", [a] -> Abs (o a)
      | "min", [a; b] -> Min (o a, o b) | "max", [a; b] -> Max (o a, o b)
      | "shl", [a; n] -> Shl (o a, number n) | "asr", [a; n] -> Asr (o a, number n)
      | "mul_shr", [a; b; n] -> MulShr (o a, o b, number n)
      | "copysign", [a; b] -> Copysign (o a, o b)
      | "lt", [a; b] -> Less (o a, o b) | "ge", [a; b] -> NotLess (o a, o b) | "eq", [a; b] -> Same (o a, o b)
      | "select", [c; a; b] -> Select (o c, o a, o b)
      | "table", [a; t] -> Table (o a, Hashtbl.find tables t)
      | "fire", [a; n] -> Fire (o a, number n)
      | _ -> failwith ("unknown operation " ^ name))
  | ["cut"; n; z] -> Cut (count n, number z)
  | ["limit"; n; l; h] -> Limit (count n, number l, number h)
  | _ -> failwith ("unknown instruction " ^ String.concat " " words)

let rec pairs make words = match words with a :: b :: t -> let p = make a b in p :: pairs make t | _ -> []
let row = pairs (fun w n -> number w, count n)
let span a b = number a, number b

(* What the programs of a population share. Lists are in the order of lines. *)
type shared = { mutable code : instruction list; mutable next : nat list; mutable out : nat list;
  mutable states : (z * z) list; mutable bounds : (nat * (z * z)) list }
type cell = { shared : shared; mutable heard : (synapse list * (z * nat) list list) list;
  mutable fixed : z list; mutable first : z list }

let lines = Seq.unfold (fun () -> try Some (input_line stdin, ()) with End_of_file -> None) ()
let split line = List.filter (fun w -> w <> "") (String.split_on_char ' ' line)

let judged name a =
  let failed = List.concat [
    (if adds a then [] else ["adds"]); (if joined a then [] else ["joined"]);
    (if wide_enough a then [] else ["widths"]);
    (match flaw a.masses a.edges (List.map (fun n -> n.own) a.neurons) a.neurons [] with
      | None -> [] | Some n -> ["bounds of neuron " ^ string_of_int (int_of_nat n)]);
    (if List.for_all reasonable a.masses then [] else ["window"]);
    (if begins a.neurons a.starts then [] else ["starts"]) ] in
  if accepts a <> (failed = []) then failwith "the parts differ from the whole";
  print_endline (name ^ (if failed = [] then " accepted" else " refused: " ^ String.concat ", " failed))

(* What each neuron sends in a step from the starts. *)
let stepped masses neurons starts =
  let values = step (fun n -> masses.(int_of_nat n)) starts neurons starts [] in
  List.iter2 (fun n v -> print_endline (String.concat " " (List.map shown (pick v n.sends)))) neurons values

let check () =
  let name = ref "" and stepping = ref None and programs = Hashtbl.create 16 and shared = ref None in
  let masses = ref [] and edges = ref [] and cells = ref [] and widths = ref [] and covered = ref [] in
  let holders = ref [] and route = ref [] and ends = ref [] and sets = ref [] in
  let program () = Option.get !shared and cell () = List.hd !cells in
  let read line = match split line with
    | ["artifact"; n] -> name := n; Hashtbl.reset programs; Hashtbl.reset tables;
      masses := []; edges := []; cells := []; widths := []; covered := []; holders := []; route := []; ends := []; sets := []
    | "entries" :: t :: entries -> Hashtbl.replace tables t (List.map number entries)
    | ["program"; p] -> let s = { code = []; next = []; out = []; states = []; bounds = [] } in
      Hashtbl.replace programs p s; shared := Some s
    | ("do" | "cut" | "limit") :: _ as words -> let p = program () in p.code <- p.code @ [instruction words]
    | "after" :: numbers -> (program ()).next <- List.map count numbers
    | "sends" :: numbers -> (program ()).out <- List.map count numbers
    | ["own"; l; h] -> let p = program () in p.states <- p.states @ [span l h]
    | ["declared"; n; l; h] -> let p = program () in p.bounds <- (count n, span l h) :: p.bounds
    | ["mass"; l; h] -> masses := span l h :: !masses
    | ["edge"; "between"; i; j; d] -> edges := Between (count i, count j, number d) :: !edges
    | ["edge"; "beside"; i; g; d] -> edges := Beside (count i, number g, number d) :: !edges
    | ["neuron"; p] -> cells := { shared = Hashtbl.find programs p; heard = []; fixed = []; first = [] } :: !cells
    | ["port"] -> let c = cell () in c.heard <- ([], []) :: c.heard
    | "synapse" :: e :: from :: words -> let c = cell () in
      let from, words = match from, words with
        | "masses", _ -> Masses, words
        | "sent", o :: t -> Sent (count o), t
        | "states", s :: t -> States (count s), t
        | _ -> failwith "unknown source" in
      let s, l = List.hd c.heard in
      c.heard <- ({ exponent = number e; from; mantissas = row words } :: s, l) :: List.tl c.heard
    | "slope" :: words -> let c = cell () in let s, l = List.hd c.heard in c.heard <- (s, row words :: l) :: List.tl c.heard
    | ["parameter"; z] -> let c = cell () in c.fixed <- c.fixed @ [number z]
    | ["start"; z] -> let c = cell () in c.first <- c.first @ [number z]
    | ["width"; l; h; bits] -> widths := (span l h, number bits) :: !widths
    | ["covered"; l; h; least; most] -> covered := (span l h, span least most) :: !covered
    | ["holder"; p] -> holders := (Hashtbl.find programs p).code :: !holders; route := [] :: !route
    | "route" :: e :: words -> route := ((number e, row words) :: List.hd !route) :: List.tl !route
    | ["packet"; s; t] -> ends := (count s, count t) :: !ends
    | "set" :: numbers -> sets := List.map count numbers
    | "step" :: words -> stepping := Some (Array.of_list (List.map number words))
    | ["end"] ->
      let cells = List.rev !cells in
      let neuron c = { ports = List.rev_map (fun (s, l) -> { synapses = List.rev s; slopes = l }) c.heard;
        own = c.shared.states; parameters = c.fixed; program = c.shared.code; after = c.shared.next;
        sends = c.shared.out; declared = c.shared.bounds } in
      let neurons = List.map neuron cells and starts = List.map (fun c -> c.first) cells in
      Option.iter (fun masses -> stepped masses neurons starts) !stepping;
      stepping := None;
      judged !name { masses = List.rev !masses; edges = List.rev !edges; neurons; starts; widths = !widths; covered = !covered; holders = List.rev !holders;
        route = List.rev !route; ends = List.rev !ends; sets = !sets }
    | [] -> ()
    | words -> failwith ("unknown line " ^ String.concat " " words) in
  Seq.iter read lines

(* Programs with values, or with ranges, of their inputs: all values, or the ranges of all values. *)
let interpret () =
  let code = ref [] and values = ref [] and ranges = ref [] in
  Seq.iter (fun line -> match split line with
    | "entries" :: t :: entries -> Hashtbl.replace tables t (List.map number entries)
    | ["program"] -> code := []
    | "values" :: words -> values := List.map number words;
      print_endline (String.concat " " (List.map shown (run (List.rev !code) !values)))
    | "ranges" :: words -> ranges := pairs span words;
      let known = described O !ranges in
      (match analyse (List.rev !code) known with
        | None -> print_endline "none"
        | Some cases ->
          let count = List.length (List.hd cases) in
          let range n = let l, h = bound cases (nat n) in shown l ^ " " ^ shown h in
          print_endline (String.concat " " (List.init count range)))
    | ["kept"; asked; room] -> print_endline (shown (kept (number asked) (number room)))
    | [] -> ()
    | words -> code := instruction words :: !code) lines

let () = match Sys.argv with
  | [| _; "check" |] -> check ()
  | [| _; "run" |] -> interpret ()
  | _ -> prerr_endline "use: checker check < plain forms, or checker run < programs"; exit 2
