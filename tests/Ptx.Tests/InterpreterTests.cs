using Diffusion.Gpu.Kernels;
using ILGPU;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What the interpreter takes for a fault, on texts of a few lines.</summary>
public sealed unsafe class InterpreterTests
{
    private const int Threads = 64;

    [Test]
    public void Threads_read_what_others_wrote_before_a_barrier()
    {
        uint[] result = Run(Exchange("bar.sync 0;"));
        Assert.That(result, Is.EqualTo(Enumerable.Range(0, Threads).Select(i => (uint)(Threads - 1 - i))));
    }

    [Test]
    public void A_read_without_a_barrier_is_a_race()
        => AssertFault(Exchange(""), "race:");

    [Test]
    public void A_write_that_a_read_may_miss_is_a_race()
        => AssertFault(Exchange("bar.sync 0;", after: "st.shared.b32 [%r2], %r1;"), "race:");

    [Test]
    public void Two_writes_to_a_word_are_a_race()
        => AssertFault("st.shared.b32 [memory], %r1;", "race: thread 1 of group 0 writes what thread 0 of group 0 writes");

    [Test]
    public void Threads_of_two_groups_must_not_meet()
        => AssertFault("st.global.b32 [%rd1], %r1;", "race: thread 0 of group 1 writes what thread 0 of group 0 writes", groups: 2,
            threads: "setp.eq.u32 %p1, %r1, 0; @!%p1 ret;");

    [Test]
    public void Memory_ends_where_its_view_ends()
        => AssertFault("st.global.b32 [%rd2+4], %r1;", "outside of its arguments");

    [Test]
    public void Shared_memory_ends_where_it_was_reserved()
        => AssertFault("st.shared.b32 [%r2+256], %r1;", "of the 256 of shared memory");

    [Test]
    public void Accesses_are_aligned() => AssertFault("ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%rd2];", "no multiple of 16");

    [Test]
    public void A_barrier_is_for_all_threads_of_a_warp()
        => AssertFault("setp.lt.u32 %p1, %r1, 5; @%p1 bra END; bar.sync 0; END:", "have ended");

    [Test]
    public void A_barrier_is_for_all_warps()
        => AssertFault("setp.lt.u32 %p1, %r1, 32; @%p1 bra END; bar.sync 0; END:", "1 of 2 warps wait at a barrier");

    [Test]
    public void Lanes_that_part_meet_at_what_all_must_run_together()
    {
        uint[] result = Run("""
            setp.lt.u32 %p1, %r1, 5;
            @%p1 bra SMALL;
            mov.u32 %r3, 1;
            bra JOIN;
            SMALL:
            mov.u32 %r3, 2;
            JOIN:
            shfl.sync.idx.b32 %r4, %r3, 0, 31, 0xffffffff;
            st.global.b32 [%rd2], %r4;
            """);
        Assert.That(result, Is.EqualTo(Enumerable.Range(0, Threads).Select(i => i < 32 ? 2u : 1u)));
    }

    [Test]
    public void A_uniform_branch_parts_no_threads()
        => AssertFault("setp.lt.u32 %p1, %r1, 5; @%p1 bra.uni END; END:", "said to be uniform");

    [Test]
    public void Unknown_instructions_are_named()
        => AssertFault("popc.b32 %r3, %r1;", "popc.b32 %r3, %r1: unknown instruction");

    [Test]
    public void Kernels_end() => AssertFault("AGAIN: bra AGAIN;", "does not end");

    /// <summary>Bytes that a copy brings are not there before its wait, nor for other threads before a barrier.</summary>
    [TestCase("cp.async.commit_group; cp.async.wait_group 1;", "bar.sync 0;", "a copy is under way")]
    [TestCase("cp.async.wait_group 0;", "bar.sync 0;", "a copy is under way")]
    [TestCase("cp.async.commit_group; cp.async.wait_group 0;", "", "race:")]
    [TestCase("cp.async.commit_group; cp.async.wait_group 0;", "bar.sync 0;", null)]
    [TestCase("cp.async.wait_all;", "bar.sync 0;", null)]
    public void Copies_land_as_late_as_they_may(string wait, string barrier, string? fault)
    {
        string text = $"""
            setp.lt.u32 %p1, %r1, 16;
            shl.b32 %r3, %r1, 4;
            add.u32 %r3, %r3, memory;
            mul.wide.u32 %rd3, %r1, 16;
            add.u64 %rd3, %rd1, %rd3;
            @%p1 cp.async.cg.shared.global [%r3], [%rd3], 16;
            {wait}
            {barrier}
            ld.shared.b32 %r4, [%r2];
            bar.sync 0;
            add.u32 %r4, %r4, 5;
            st.global.b32 [%rd2], %r4;
            """;
        if (fault is null)
            Assert.That(Run(text), Is.EqualTo(Enumerable.Range(0, Threads).Select(i => (uint)(1000 + i + 5))));
        else
            AssertFault(text, fault);
    }

    /// <summary>Every thread writes its number to shared memory and reads that of the thread opposite.</summary>
    private static string Exchange(string barrier, string after = "") => $"""
        st.shared.b32 [%r2], %r1;
        {barrier}
        sub.u32 %r3, 63, %r1;
        shl.b32 %r3, %r3, 2;
        add.u32 %r3, %r3, memory;
        ld.shared.b32 %r4, [%r3];
        {after}
        st.global.b32 [%rd2], %r4;
        """;

    private static void AssertFault(string body, string fault, int groups = 1, string threads = "")
        => Assert.That(() => Run($"{threads} {body}", groups), Throws.TypeOf<PtxFaultException>().With.Message.Contains(fault));

    /// <summary>Runs a body with r1 the thread, r2 its word of shared memory, rd1 the buffer and rd2 the thread's word of it.</summary>
    private static uint[] Run(string body, int groups = 1)
    {
        var kernel = PtxParser.Parse($$"""
            .version 7.8
            .target sm_80
            .address_size 64
            .visible .entry Test(.param .b64 _buffer)
            .maxntid 64, 1, 1
            {
                .reg .pred %p<3>; .reg .b32 %r<6>; .reg .b64 %rd<5>;
                .shared .align 16 .b8 memory[256];
                ld.param.b64 %rd1, [_buffer];
                mov.u32 %r1, %tid.x;
                shl.b32 %r2, %r1, 2;
                add.u32 %r2, %r2, memory;
                mul.wide.u32 %rd2, %r1, 4;
                add.u64 %rd2, %rd1, %rd2;
                {{body}}
                ret;
            }
            """);
        uint* buffer = stackalloc uint[Threads + 4];
        var values = new Span<uint>((uint*)(((nuint)buffer + 15) & ~(nuint)15), Threads);
        for (int i = 0; i < Threads; i++)
            values[i] = (uint)(1000 + i);
        fixed (uint* first = values)
        {
            var memory = new GlobalMemory([((ulong)first, Threads * sizeof(uint))]);
            new ThreadGroup(kernel, new KernelConfig(groups, Threads), 0, BitConverter.GetBytes((ulong)first), memory).RunAll();
        }
        return values.ToArray();
    }
}
