(* The firing rule of a channel, and what it implies for any horizon.
   Models the operation `fire` of pisnn_deploy/programs/language.py. *)
Require Import ZArith List Lia.
Import ListNotations.
Open Scope Z_scope.

(* theta = 2^F; shifts of integers are floors. *)
Definition half (F : Z) : Z := Z.shiftr (Z.shiftl 1 F) 1.
Definition packet (F v : Z) : Z := Z.sgn v * Z.shiftr (Z.abs v + half F - 1) F.
Definition rest (F v : Z) : Z := v - Z.shiftl (packet F v) F.

Lemma theta_half : forall F, 1 <= F -> 2 ^ F = 2 * half F /\ 1 <= half F.
Proof.
  intros F H. unfold half. rewrite Z.shiftl_1_l, Z.shiftr_div_pow2 by lia.
  replace F with (Z.succ (F - 1)) by lia. rewrite Z.pow_succ_r by lia.
  change (2 ^ 1) with 2. rewrite Z.mul_comm, Z.div_mul by lia.
  pose proof (Z.pow_pos_nonneg 2 (F - 1)). lia.
Qed.

Lemma packet_div : forall F v, 1 <= F -> packet F v = Z.sgn v * ((Z.abs v + half F - 1) / (2 * half F)).
Proof. intros F v H. unfold packet. rewrite Z.shiftr_div_pow2 by lia. now destruct (theta_half F H) as [-> _]. Qed.

Lemma rest_mul : forall F v, 1 <= F -> rest F v = v - 2 * half F * packet F v.
Proof. intros F v H. unfold rest. rewrite Z.shiftl_mul_pow2 by lia. destruct (theta_half F H) as [-> _]. lia. Qed.

(* The rule treats both signs alike: a face that is turned around sends the negative packet. *)
Theorem packet_is_odd : forall F v, packet F (- v) = - packet F v.
Proof. intros F v. unfold packet. rewrite Z.sgn_opp, Z.abs_opp. lia. Qed.

Theorem rest_is_odd : forall F v, 1 <= F -> rest F (- v) = - rest F v.
Proof. intros F v H. rewrite !rest_mul, packet_is_odd by assumption. lia. Qed.

(* What does not fire is at most half of theta, whatever the potential. *)
Theorem rest_is_bounded : forall F v, 1 <= F -> - half F <= rest F v <= half F.
Proof.
  intros F v H. rewrite rest_mul, packet_div by assumption. destruct (theta_half F H) as [_ P].
  pose proof (Z.div_mod (Z.abs v + half F - 1) (2 * half F) ltac:(lia)) as E.
  pose proof (Z.mod_pos_bound (Z.abs v + half F - 1) (2 * half F) ltac:(lia)) as M.
  set (q := (Z.abs v + half F - 1) / (2 * half F)) in *.
  set (w := (Z.abs v + half F - 1) mod (2 * half F)) in *.
  destruct (Z.sgn_spec v) as [[S ->]|[[S ->]|[S ->]]];
    [rewrite Z.abs_eq in E by lia|subst v|rewrite Z.abs_neq in E by lia];
    simpl Z.abs in *; nia.
Qed.

Corollary rest_within_half_theta : forall F v, 1 <= F -> 2 * Z.abs (rest F v) <= 2 ^ F.
Proof. intros F v H. pose proof (rest_is_bounded F v H). destruct (theta_half F H) as [-> _]. lia. Qed.

(* A larger potential never sends a smaller packet. *)
Theorem packet_is_monotone : forall F v w, 1 <= F -> v <= w -> packet F v <= packet F w.
Proof.
  intros F v w H L. rewrite !packet_div by assumption. destruct (theta_half F H) as [_ P].
  set (q := fun x => (Z.abs x + half F - 1) / (2 * half F)).
  change (Z.sgn v * q v <= Z.sgn w * q w).
  assert (Q : forall x, 0 <= q x) by (intro x; apply Z.div_pos; lia).
  assert (Up : forall x y, Z.abs x <= Z.abs y -> q x <= q y) by (intros x y A; apply Z.div_le_mono; lia).
  pose proof (Q v). pose proof (Q w).
  destruct (Z.sgn_spec v) as [[S ->]|[[S ->]|[S ->]]]; destruct (Z.sgn_spec w) as [[T ->]|[[T ->]|[T ->]]]; try lia.
  - pose proof (Up v w). lia.
  - pose proof (Up w v). lia.
Qed.

(* A run of one channel: the sum of its packets and its last residue, for any currents. *)
Fixpoint fired (F r : Z) (currents : list Z) : Z * Z :=
  match currents with
  | [] => (0, r)
  | c :: later => let (s, e) := fired F (rest F (r + c)) later in (packet F (r + c) + s, e)
  end.
Definition sum (l : list Z) : Z := fold_right Z.add 0 l.

(* Over any horizon, theta times what was sent plus the change of the residue is what went in. *)
Theorem packets_telescope : forall F currents r, 1 <= F ->
  let (s, e) := fired F r currents in 2 ^ F * s + e - r = sum currents.
Proof.
  intros F currents. induction currents as [|c later IH]; intros r H; cbn [fired]; [unfold sum; cbn [fold_right];
    lia|].
  specialize (IH (rest F (r + c)) H). destruct (fired F (rest F (r + c)) later) as [s e].
  rewrite rest_mul in IH by assumption. destruct (theta_half F H) as [E _]. rewrite E in *.
  change (sum (c :: later)) with (c + sum later). lia.
Qed.
