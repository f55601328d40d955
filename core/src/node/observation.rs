//! What the engine lets operators see.

crate::observations! {
    /// What the engine lets operators see.
    pub enum NodeObservation {
        /// The journal was recovered: records kept, of which some were written again.
        Counter Health Count "relaymesh_journal_recoveries_total" => JournalRecovered { records: u64, rewritten: u64, boot: u64 },
        /// Slots beyond the recovered journal were erased.
        Counter Health Count "relaymesh_journal_erasures_total" => JournalErased { from: u64 },
        /// Slots were emptied, since nothing in them is needed any more: from the first one up to before the second. The journal starts at the second.
        Counter Health Count "relaymesh_journal_trims_total" => JournalTrimmed { from: u64, below: u64 },
        /// A slot was read again because its bytes were wrong.
        Counter Health Count "relaymesh_journal_rereads_total" => SlotReread { sequence: u64 },
        /// A request was refused before anything looked at it, because too much waits for the disk.
        Counter Health Count "relaymesh_requests_refused_total" => RequestRefused { held_actions: u64, unsynced_writes: u64 },
        /// A packet was shed because too much waits for the disk.
        Counter Health Count "relaymesh_packets_shed_total" => PacketShed { held_actions: u64, unsynced_writes: u64 },
        /// An action was dropped because the gate could hold no more.
        Counter Health Count "relaymesh_actions_dropped_total" => ActionDropped { held_actions: u64 },
        /// An action was dropped at the gate because its time limit had passed.
        Counter Health Count "relaymesh_actions_late_total" => ActionLate { held_actions: u64 },
        /// An object was read again because its bytes were wrong.
        Counter Health Count "relaymesh_object_rereads_total" => ObjectReread { address: u64, piece: u64 },
        /// An object is damaged, also after several readings. What follows is for the application to say.
        Counter Health Count "relaymesh_objects_damaged_total" => ObjectDamaged { address: u64, piece: u64 },
        /// An object of an earlier process was fetched, and was written again before anything may rest on it.
        Counter Health Count "relaymesh_objects_secured_total" => ObjectSecured { address: u64, piece: u64 },
    }
}
