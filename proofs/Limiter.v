(* The limiter: cells answer which part of what is asked of them they keep back, and so keep a floor and a ceiling.
   Models pisnn_deploy/programs/limiter.py; `kept` is the value `short` (or `full`) of the program of `answer`. *)
Require Import ZArith List Lia Bool.
Import ListNotations.
Open Scope Z_scope.

Definition halve (bits : Z) (pair : Z * Z) : Z * Z :=
  if 2 ^ (10 + bits) <=? fst pair then (Z.shiftr (fst pair) bits, Z.shiftr (snd pair) bits) else pair.
Definition scaled (asked room : Z) : Z * Z := halve 1 (halve 2 (halve 4 (halve 8 (asked - 1, room)))).
Definition reciprocal (n : Z) : Z := Z.min (2 ^ 23 - 1) (2 ^ 23 / (n + 1)).
Definition kept (asked room : Z) : Z :=
  let room := Z.max room 0 in
  let (n, left) := scaled asked room in
  let share := Z.shiftr (Z.min left 2048 * reciprocal (Z.max 0 (Z.min n 2047))) 15 in
  if room <? asked then Z.max (256 - share) 0 else 0.

(* What a scaled pair still says of the pair that it comes from. *)
Definition follows (asked room : Z) (pair : Z * Z) : Prop :=
  exists p, 0 < p /\ asked <= (fst pair + 1) * p /\ snd pair * p <= room /\ 0 <= fst pair /\ 0 <= snd pair.

Lemma halve_follows : forall bits asked room pair, 0 < bits -> follows asked room pair ->
  follows asked room (halve bits pair).
Proof.
  intros bits asked room [n left] B [p [P [A [R [N L]]]]]. unfold halve. cbn [fst snd] in *.
  destruct (Z.leb_spec (2 ^ (10 + bits)) n); [|exists p; cbn [fst snd]; auto].
  rewrite !Z.shiftr_div_pow2 by lia. pose proof (Z.pow_pos_nonneg 2 bits ltac:(lia) ltac:(lia)) as Q.
  set (q := 2 ^ bits) in *. clearbody q. exists (p * q). cbn [fst snd].
  pose proof (Z.div_mod n q ltac:(lia)). pose proof (Z.mod_pos_bound n q Q).
  pose proof (Z.div_mod left q ltac:(lia)). pose proof (Z.mod_pos_bound left q Q).
  pose proof (Z.div_pos n q N Q). pose proof (Z.div_pos left q L Q).
  set (a := n / q) in *. set (b := left / q) in *. clearbody a b.
  repeat split; try assumption; nia.
Qed.

Lemma halve_lowers : forall bits pair, 0 < bits -> 0 <= fst pair < 2 ^ (10 + 2 * bits) ->
  0 <= fst (halve bits pair) < 2 ^ (10 + bits).
Proof.
  intros bits [n left] B H. unfold halve. cbn [fst snd] in *. destruct (Z.leb_spec (2 ^ (10 + bits)) n) as [L|L];
    cbn [fst]; [|lia].
  rewrite Z.shiftr_div_pow2 by lia. replace (10 + 2 * bits) with ((10 + bits) + bits) in H by lia.
  rewrite Z.pow_add_r in H by lia. pose proof (Z.pow_pos_nonneg 2 bits ltac:(lia) ltac:(lia)) as Q.
  split; [apply Z.div_pos; lia|]. apply Z.div_lt_upper_bound; lia.
Qed.

Lemma scaled_follows : forall asked room, 1 <= asked <= 2 ^ 26 -> 0 <= room ->
  follows asked room (scaled asked room) /\ fst (scaled asked room) < 2048.
Proof.
  intros asked room A R. unfold scaled. split.
  - repeat (apply halve_follows; [lia|]). exists 1. cbn [fst snd]. lia.
  - change 2048 with (2 ^ (10 + 1)). apply halve_lowers; [lia|]. change (10 + 2 * 1) with (10 + 2).
    apply halve_lowers; [lia|]. change (10 + 2 * 2) with (10 + 4). apply halve_lowers; [lia|].
    change (10 + 2 * 4) with (10 + 8). apply halve_lowers; [lia|]. change (10 + 2 * 8) with 26. cbn [fst]. lia.
Qed.

(* What is asked of a cell, less the part that it keeps back, is never more than it has. *)
Theorem kept_is_enough : forall asked room, 0 <= asked <= 2 ^ 26 ->
  asked * (256 - kept asked room) <= 256 * Z.max room 0 /\ 0 <= kept asked room <= 256.
Proof.
  intros asked room A. unfold kept. set (r := Z.max room 0). assert (R : 0 <= r) by lia. clearbody r.
  destruct (scaled asked r) as [n left] eqn:S. destruct (Z.ltb_spec r asked) as [L|L]; [|lia].
  destruct (scaled_follows asked r ltac:(lia) R) as [[p [P [B [C [N M]]]]] T]. rewrite S in *. cbn [fst snd] in *.
  replace (Z.max 0 (Z.min n 2047)) with n by lia. rewrite Z.shiftr_div_pow2 by lia.
  set (share := Z.min left 2048 * reciprocal n / 2 ^ 15).
  assert (U : 0 <= reciprocal n /\ reciprocal n * (n + 1) <= 2 ^ 23).
  { unfold reciprocal. pose proof (Z.div_pos (2 ^ 23) (n + 1) ltac:(lia) ltac:(lia)).
    pose proof (Z.mul_div_le (2 ^ 23) (n + 1) ltac:(lia)). split; [lia|].
    transitivity (2 ^ 23 / (n + 1) * (n + 1)); [apply Z.mul_le_mono_nonneg_r; lia|lia]. }
  assert (Share : 0 <= share /\ share * 2 ^ 15 <= Z.min left 2048 * reciprocal n).
  { unfold share. split; [apply Z.div_pos; [apply Z.mul_nonneg_nonneg; lia|lia]|].
    rewrite Z.mul_comm. apply Z.mul_div_le. lia. }
  clearbody share. destruct U as [U V]. set (v := reciprocal n) in *. clearbody v.
  split; [|lia]. transitivity (asked * share); [apply Z.mul_le_mono_nonneg_l; lia|].
  enough (E : asked * (share * 2 ^ 15) <= (256 * r) * 2 ^ 15) by (change (2 ^ 15) with 32768 in *; lia).
  transitivity (asked * (left * v)).
  { apply Z.mul_le_mono_nonneg_l; [lia|]. transitivity (Z.min left 2048 * v); [lia|]. apply Z.mul_le_mono_nonneg_r;
    lia. }
  transitivity ((n + 1) * p * (left * v)); [apply Z.mul_le_mono_nonneg_r; [apply Z.mul_nonneg_nonneg|]; lia|].
  replace ((n + 1) * p * (left * v)) with ((left * p) * (v * (n + 1))) by lia.
  transitivity (r * (v * (n + 1))); [apply Z.mul_le_mono_nonneg_r; [apply Z.mul_nonneg_nonneg|]; lia|].
  replace (256 * r * 2 ^ 15) with (r * 2 ^ 23) by (change (2 ^ 23) with (256 * 2 ^ 15); lia).
  apply Z.mul_le_mono_nonneg_l; lia.
Qed.

(* What a face passes of what it asks for, if a part is kept back. *)
Definition passed (asked part : Z) : Z := Z.shiftr (asked * (256 - part)) 8.
Definition sum (l : list Z) : Z := fold_right Z.add 0 l.

Lemma sum_nonnegative : forall asks, Forall (fun e : Z * Z => 0 <= fst e) asks -> 0 <= sum (map fst asks).
Proof.
  intros asks H. induction H as [|e t A _ IH]; cbn [map sum fold_right]; [simpl; lia|]. fold (sum (map fst t)). lia.
Qed.
Lemma passed_at_most : forall part asks, 
  Forall (fun e => 0 <= fst e /\ part <= snd e <= 256) asks ->
  0 <= sum (map (fun e => passed (fst e) (snd e)) asks) /\
  256 * sum (map (fun e => passed (fst e) (snd e)) asks) <= sum (map fst asks) * (256 - part).
Proof.
  intros part asks H. induction H as [|[a k] t [A K] _ [L U]]; [simpl; lia|]. cbn [map sum fold_right fst snd] in *.
  fold (sum (map (fun e => passed (fst e) (snd e)) t)) in *. fold (sum (map fst t)) in *.
  unfold passed at 1 3. rewrite Z.shiftr_div_pow2 by lia. change (2 ^ 8) with 256.
  pose proof (Z.mul_div_le (a * (256 - k)) 256 ltac:(lia)).
  pose proof (Z.div_pos (a * (256 - k)) 256 ltac:(apply Z.mul_nonneg_nonneg; lia) ltac:(lia)).
  assert (a * (256 - k) <= a * (256 - part)) by (apply Z.mul_le_mono_nonneg_l; lia). lia.
Qed.

(* Each face passes at most what the cell at either end allows, so no cell falls below its floor: `mass` counts what
   the low fluxes brought and took, `asks` are what leaves it with the parts that are kept back there, `entered` what
   comes. *)
Theorem floor_is_kept : forall least mass asks entered, least <= mass -> 0 <= entered ->
  sum (map fst asks) <= 2 ^ 26 ->
  Forall (fun e => 0 <= fst e /\ kept (sum (map fst asks)) (mass - least) <= snd e <= 256) asks ->
  least <= mass + entered - sum (map (fun e => passed (fst e) (snd e)) asks).
Proof.
  intros least mass asks entered M E S H. set (part := kept (sum (map fst asks)) (mass - least)) in *.
  assert (P : 0 <= sum (map fst asks)) by (apply sum_nonnegative; revert H; apply Forall_impl; intros e [A _];
    exact A).
  destruct (kept_is_enough (sum (map fst asks)) (mass - least) ltac:(lia)) as [K _]. fold part in K.
  destruct (passed_at_most part asks H) as [_ U]. lia.
Qed.

(* Nor does it rise above its ceiling: `asks` are what comes in, with the parts that are kept back there. *)
Theorem ceiling_is_kept : forall most mass asks left, mass <= most -> 0 <= left ->
  sum (map fst asks) <= 2 ^ 26 ->
  Forall (fun e => 0 <= fst e /\ kept (sum (map fst asks)) (most - mass) <= snd e <= 256) asks ->
  mass - left + sum (map (fun e => passed (fst e) (snd e)) asks) <= most.
Proof.
  intros most mass asks left M E S H.
  pose proof (floor_is_kept (- most) (- mass) asks left ltac:(lia) E S) as F.
  replace (- mass - - most) with (most - mass) in F by lia. specialize (F H). lia.
Qed.
